/* From 16 sums of a pixel to stored outputs of 8 bits, in registers of 512 bits; kq_finish.h has all other outputs. */
#ifndef KQ_FINISH_AVX512_H
#define KQ_FINISH_AVX512_H

#include "kq_avx512.h"

/* Whether an operator's outputs are computed here. */
KQ_INLINE bool kq_finishes_in_512(const kq_operator *op, const kq_gemm *gemm) {
  return kq_value_bytes(op->output->type) == 1 &&
         (gemm->finish == KQ_FINISH_FMA || (gemm->finish == KQ_FINISH_32 && !gemm->has_factor));
}

/* Shifted sums of one pixel, from sums with their start value. */
KQ_INLINE __m512i kq_requantize_512(const kq_gemm *gemm, const kq_addends *addends, uint32_t pixel, __m512 factor, __m512 offset,
                                    __m512i sum) {
  if (gemm->finish == KQ_FINISH_FMA) {
    sum = kq_rounded(sum, factor, offset);
    if (addends->first == NULL) return sum;
  }
  if (addends->first != NULL) {
    __m256i r[2];
    kq_load_addends(addends, pixel, r);
    sum = _mm512_add_epi32(sum, _mm512_sll_epi32(kq_both_halves(r[0], r[1]), _mm_cvtsi32_si128(gemm->addend_places)));
  }
  return kq_shifted(sum, _mm_cvtsi32_si128(gemm->shift));
}

/* Outputs of four pixels, 16 of each, saturated and limited. */
KQ_INLINE __m512i kq_four_pixels(const kq_target *target, __m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i low = kq_both_halves(target->low, target->low), high = kq_both_halves(target->high, target->high);
  const __m512i first = _mm512_packs_epi32(a, b), second = _mm512_packs_epi32(c, d);
  if (target->range.type == KQ_UFIXED8) {
    const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(first, second));
    return _mm512_min_epu8(_mm512_max_epu8(bytes, low), high);
  }
  const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(first, second));
  return _mm512_min_epi8(_mm512_max_epi8(bytes, low), high);
}

/* Outputs of the `count` pixels from number `pixel` on from their sums. */
KQ_INLINE void kq_finish_512(const kq_operator *op, const kq_gemm *gemm, const kq_target *target, uint32_t pixel, uint32_t count,
                             __m512i sum[][2], int which, uint8_t *output) {
  const kq_addends addends = kq_addends_of(op, gemm, target, pixel, output);
  const __m512 factor = _mm512_loadu_ps((const float *)(const void *)(gemm->factor + target->number * KQ_LANES));
  const __m512 offset = _mm512_loadu_ps((const float *)(const void *)gemm->offset + target->number * KQ_LANES);
  uint8_t *to = output + pixel * target->step + target->first;
  for (uint32_t p = 0; p < count; p += 4) {
    __m512i y[4];
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t here = p + i < count ? p + i : p;
      y[i] = kq_requantize_512(gemm, &addends, here, factor, offset, sum[here][which]);
    }
    const __m512i bytes = kq_four_pixels(target, y[0], y[1], y[2], y[3]);
    const __m256i lower = _mm512_castsi512_si256(bytes), upper = _mm512_extracti64x4_epi64(bytes, 1);
    const uint32_t left = count - p;
    kq_store_bytes(to, _mm256_castsi256_si128(lower), target->channels);
    if (left > 1) kq_store_bytes(to + target->step, _mm256_extracti128_si256(lower, 1), target->channels);
    if (left > 2) kq_store_bytes(to + 2 * target->step, _mm256_castsi256_si128(upper), target->channels);
    if (left > 3) kq_store_bytes(to + 3 * target->step, _mm256_extracti128_si256(upper, 1), target->channels);
    to += 4 * target->step;
  }
}

#endif
