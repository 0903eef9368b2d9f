/* Sums of 64 bits for AVX2, as two of 32 in the order of the channels: low 16 bits are added to one, unsigned, and what is left,
 * divided by 2^16 and rounded down, to the other. Of a chunk's sum times 256 that is at most 2^23: neither overflows in
 * KQ_WIDE_CHUNKS additions of each half. */
#ifndef KQ_WIDE_H
#define KQ_WIDE_H

#include "kq_finish.h"

/* Of 8 channels. */
typedef struct {
  __m256i low, high;
} kq_wide;

/* Adds a chunk's sums: of the first half, or of the second times 256. */
KQ_INLINE void kq_widen(kq_wide *wide, __m256i sum, uint32_t half) {
  const __m256i low = half == 0 ? _mm256_and_si256(sum, _mm256_set1_epi32(0xFFFF))
                                : _mm256_slli_epi32(_mm256_and_si256(sum, _mm256_set1_epi32(0xFF)), 8);
  wide->low = _mm256_add_epi32(wide->low, low);
  wide->high = _mm256_add_epi32(wide->high, half == 0 ? _mm256_srai_epi32(sum, 16) : _mm256_srai_epi32(sum, 8));
}

/* The 64-bit sums of 4 of 8 channels. */
KQ_INLINE __m256i kq_wide_sums(const kq_wide *wide, int half) {
  const __m128i low = half == 0 ? _mm256_castsi256_si128(wide->low) : _mm256_extracti128_si256(wide->low, 1);
  const __m128i high = half == 0 ? _mm256_castsi256_si128(wide->high) : _mm256_extracti128_si256(wide->high, 1);
  return _mm256_add_epi64(_mm256_cvtepu32_epi64(low), _mm256_slli_epi64(_mm256_cvtepi32_epi64(high), 16));
}

/* a * b modulo 2^64. */
KQ_INLINE __m256i kq_multiply_wide(__m256i a, __m256i b) {
  const __m256i crossed = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(a, 32), b),
                                           _mm256_mul_epu32(a, _mm256_srli_epi64(b, 32)));
  return _mm256_add_epi64(_mm256_mul_epu32(a, b), _mm256_slli_epi64(crossed, 32));
}

/* floor(total / 2^shift), limited to 32 bits, in the low half of each lane. Totals are limited first where the shift does not make
 * them small enough; with 2^63 added a logical shift is the arithmetic one. */
KQ_INLINE __m256i kq_shift_wide(__m256i total, int shift) {
  if (shift < 32) {
    const long long beyond = 1LL << (31 + shift);
    const __m256i high = _mm256_set1_epi64x(beyond - 1), low = _mm256_set1_epi64x(-beyond);
    total = _mm256_blendv_epi8(total, high, _mm256_cmpgt_epi64(total, high));
    total = _mm256_blendv_epi8(total, low, _mm256_cmpgt_epi64(low, total));
  }
  const __m256i sign = _mm256_set1_epi64x(INT64_MIN);
  const __m128i places = _mm_cvtsi32_si128(shift);
  return _mm256_sub_epi64(_mm256_srl_epi64(_mm256_xor_si256(total, sign), places), _mm256_srl_epi64(sign, places));
}

/* Low halves of 8 lanes of 64 bits. */
KQ_INLINE __m256i kq_low_lanes(__m256i a, __m256i b) {
  const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
  return _mm256_blend_epi32(_mm256_permutevar8x32_epi32(a, order), _mm256_permutevar8x32_epi32(b, order), 0xf0);
}

/* FINISH_WIDE: shifted totals of 4 channels from number `lane` on; `addends` are those of the same channels. */
KQ_INLINE __m256i kq_requantize_wide(const kq_gemm *gemm, uint32_t lane, __m256i sums, __m128i addends) {
  if (gemm->has_factor) {
    const __m128i factor = _mm_load_si128((const __m128i *)(const void *)(gemm->factor + lane));
    sums = kq_multiply_wide(sums, _mm256_cvtepi32_epi64(factor));
  }
  __m256i total = _mm256_add_epi64(sums, _mm256_load_si256((const __m256i *)(const void *)(gemm->offset + lane)));
  if (gemm->has_addend) {
    const __m128i places = _mm_cvtsi32_si128(gemm->addend_places);
    total = _mm256_add_epi64(total, _mm256_sll_epi64(_mm256_cvtepi32_epi64(addends), places));
  }
  return kq_shift_wide(total, gemm->shift);
}

/* Outputs of the `count` pixels from number `pixel` on from wide sums, 16 channels of each. */
KQ_INLINE void kq_finish_wide(const kq_operator *op, const kq_gemm *gemm, const kq_target *target, uint32_t pixel, uint32_t count,
                              kq_wide wide[][2], uint8_t *output) {
  const kq_addends addends = kq_addends_of(op, gemm, target, pixel, output);
  uint8_t *to = output + pixel * target->step + target->first;
  for (uint32_t p = 0; p < count; ++p, to += target->step) {
    __m256i sums[4], y[2], r[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int i = 0; i < 4; ++i) sums[i] = kq_wide_sums(&wide[p][i / 2], i % 2);
    if (gemm->finish == KQ_FINISH_ANY) {
      kq_gemm_finish(op, gemm, &gemm->block[target->number], (const void *)sums, output, pixel + p);
      continue;
    }
    if (addends.first != NULL) kq_load_addends(&addends, p, r);
    for (int half = 0; half < 2; ++half) {
      const uint32_t lane = target->number * KQ_LANES + 8 * (uint32_t)half;
      const __m256i a = kq_requantize_wide(gemm, lane, sums[2 * half], _mm256_castsi256_si128(r[half]));
      const __m256i b = kq_requantize_wide(gemm, lane + 4, sums[2 * half + 1], _mm256_extracti128_si256(r[half], 1));
      y[half] = kq_low_lanes(a, b);
    }
    kq_store_some(target->range, to, y[0], y[1], target->channels);
  }
}

#endif
