/* Outputs that kq_finishes_bytes takes (kq_finish.h), in registers of 512 bits; kq_finish.h has all others. */
#ifndef KQ_FINISH_AVX512_H
#define KQ_FINISH_AVX512_H

#include "kq_avx512.h"

/* What is the same for all pixels of a block. */
typedef struct {
  __m512 factor, offset;
  __m128i places, shift;
  kq_addends addends; /* from pixel 0 on */
  kq_addend_kind kind;
} kq_finish_terms;

KQ_INLINE kq_finish_terms kq_finish_terms_of(const kq_gemm *gemm, uint32_t number, kq_addends addends) {
  const kq_finish_terms terms = {
      .factor = _mm512_loadu_ps((const float *)(const void *)(gemm->factor + number * KQ_LANES)),
      .offset = _mm512_loadu_ps((const float *)(const void *)gemm->offset + number * KQ_LANES),
      .places = _mm_cvtsi32_si128(gemm->addend_places),
      .shift = _mm_cvtsi32_si128(gemm->shift),
      .addends = addends,
      .kind = kq_addend_kind_of(&addends),
  };
  return terms;
}

/* Shifted sums of one pixel, from sums with their start value. */
KQ_INLINE __m512i kq_requantize_512(const kq_finish_terms *terms, bool fma, kq_addend_kind kind, uint32_t pixel, __m512i sum) {
  if (fma) sum = kq_rounded(sum, terms->factor, terms->offset);
  if (fma && kind == KQ_NO_ADDEND) return sum;
  if (kind == KQ_ANY_ADDEND) {
    __m256i r[2];
    kq_load_addends(&terms->addends, pixel, r);
    sum = _mm512_add_epi32(sum, _mm512_sll_epi32(kq_both_halves(r[0], r[1]), terms->places));
  } else if (kind != KQ_NO_ADDEND) {
    const __m128i r = _mm_loadu_si128((const __m128i *)(const void *)(terms->addends.first + pixel * terms->addends.step));
    sum = _mm512_add_epi32(sum, _mm512_sll_epi32(kq_widened_bytes(kind == KQ_SIGNED_ADDEND, r), terms->places));
  }
  return kq_shifted(sum, terms->shift);
}

/* Outputs of four pixels, 16 of each, saturated and limited. */
KQ_INLINE __m512i kq_four_pixels(const kq_target *target, __m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i low = _mm512_broadcast_i32x4(_mm256_castsi256_si128(target->low));
  const __m512i high = _mm512_broadcast_i32x4(_mm256_castsi256_si128(target->high));
  const __m512i first = _mm512_packs_epi32(a, b), second = _mm512_packs_epi32(c, d);
  if (target->range.type == KQ_UFIXED8) {
    const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(first, second));
    return _mm512_min_epu8(_mm512_max_epu8(bytes, low), high);
  }
  const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(first, second));
  return _mm512_min_epi8(_mm512_max_epi8(bytes, low), high);
}

/* Outputs of the `count` pixels from number `pixel` on, which go to `to`, from their sums. Compiled for each way. */
KQ_INLINE void kq_finish_pixels(const kq_finish_terms *terms, const kq_target *target, bool fma, kq_addend_kind kind,
                                uint32_t pixel, uint32_t count, __m512i sum[][2], int which, uint8_t *to) {
  for (uint32_t p = 0; p < count; p += 4) {
    const uint32_t left = count - p, b = p + (left > 1), c = p + (left > 2 ? 2 : 0), d = p + (left > 3 ? 3 : 0);
    const __m512i y0 = kq_requantize_512(terms, fma, kind, pixel + p, sum[p][which]);
    const __m512i y1 = kq_requantize_512(terms, fma, kind, pixel + b, sum[b][which]);
    const __m512i y2 = kq_requantize_512(terms, fma, kind, pixel + c, sum[c][which]);
    const __m512i y3 = kq_requantize_512(terms, fma, kind, pixel + d, sum[d][which]);
    const __m512i bytes = kq_four_pixels(target, y0, y1, y2, y3);
    const __m256i lower = _mm512_castsi512_si256(bytes), upper = _mm512_extracti64x4_epi64(bytes, 1);
    kq_store_bytes(to, _mm256_castsi256_si128(lower), target->channels);
    if (left > 1) kq_store_bytes(to + target->step, _mm256_extracti128_si256(lower, 1), target->channels);
    if (left > 2) kq_store_bytes(to + 2 * target->step, _mm256_castsi256_si128(upper), target->channels);
    if (left > 3) kq_store_bytes(to + 3 * target->step, _mm256_extracti128_si256(upper, 1), target->channels);
    to += 4 * target->step;
  }
}

/* The same in the operator's way. */
KQ_INLINE void kq_finish_512(const kq_gemm *gemm, const kq_finish_terms *terms, const kq_target *target, uint32_t pixel,
                             uint32_t count, __m512i sum[][2], int which, uint8_t *output) {
  uint8_t *to = output + pixel * target->step + target->first;
  if (gemm->finish != KQ_FINISH_FMA) {
    kq_finish_pixels(terms, target, false, terms->kind, pixel, count, sum, which, to);
  } else if (terms->kind == KQ_NO_ADDEND) {
    kq_finish_pixels(terms, target, true, KQ_NO_ADDEND, pixel, count, sum, which, to);
  } else if (terms->kind == KQ_UNSIGNED_ADDEND) {
    kq_finish_pixels(terms, target, true, KQ_UNSIGNED_ADDEND, pixel, count, sum, which, to);
  } else {
    kq_finish_pixels(terms, target, true, terms->kind, pixel, count, sum, which, to);
  }
}

#endif
