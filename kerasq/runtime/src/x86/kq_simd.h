/* What the AVX2 files share. */
#ifndef KQ_SIMD_H
#define KQ_SIMD_H

#include <immintrin.h>

#include "../kq_float.h"
#include "kq_gemm.h"

#define KQ_INLINE static inline __attribute__((always_inline))

/* 16 stored integers as 32-bit lanes, from value number i on. */
KQ_INLINE void kq_load_16(uint8_t type, const uint8_t *data, size_t i, __m256i v[2]) {
  if (type == KQ_FIXED8 || type == KQ_UFIXED8) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(data + i));
    const __m128i high = _mm_srli_si128(bytes, 8);
    v[0] = type == KQ_FIXED8 ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes);
    v[1] = type == KQ_FIXED8 ? _mm256_cvtepi8_epi32(high) : _mm256_cvtepu8_epi32(high);
  } else {
    const __m128i low = _mm_loadu_si128((const __m128i *)(const void *)(data + 2 * i));
    const __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(data + 2 * i + 16));
    v[0] = type == KQ_FIXED16 ? _mm256_cvtepi16_epi32(low) : _mm256_cvtepu16_epi32(low);
    v[1] = type == KQ_FIXED16 ? _mm256_cvtepi16_epi32(high) : _mm256_cvtepu16_epi32(high);
  }
}

/* Limits of stored values, low .. high (which lie in the type's range), in the lanes that the stores below compare. */
typedef struct {
  uint8_t type;
  __m256i low, high; /* 16-bit lanes; 32-bit lanes for UFIXED16 */
} kq_range;

KQ_INLINE kq_range kq_range_of(const kq_operator *op) {
  kq_range range;
  range.type = op->output->type;
  const bool wide = range.type == KQ_UFIXED16;
  range.low = wide ? _mm256_set1_epi32(op->low.fixed) : _mm256_set1_epi16((int16_t)op->low.fixed);
  range.high = wide ? _mm256_set1_epi32(op->high.fixed) : _mm256_set1_epi16((int16_t)op->high.fixed);
  return range;
}

/* 16 integers of 32 bits, limited, as 16-bit values. The packs saturate and work on halves of 128 bits, whose order the
 * permutation restores. */
KQ_INLINE __m256i kq_limited_words(kq_range range, __m256i a, __m256i b) {
  if (range.type == KQ_UFIXED16) {
    a = _mm256_min_epi32(_mm256_max_epi32(a, range.low), range.high);
    b = _mm256_min_epi32(_mm256_max_epi32(b, range.low), range.high);
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xd8);
  }
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
  return _mm256_min_epi16(_mm256_max_epi16(words, range.low), range.high);
}

/* As 16 bytes. */
KQ_INLINE __m128i kq_limited_bytes(kq_range range, __m256i a, __m256i b) {
  const __m256i words = kq_limited_words(range, a, b);
  const __m128i lower = _mm256_castsi256_si128(words), upper = _mm256_extracti128_si256(words, 1);
  return range.type == KQ_FIXED8 ? _mm_packs_epi16(lower, upper) : _mm_packus_epi16(lower, upper);
}

/* 16 integers of 32 bits, limited, as stored values. */
KQ_INLINE void kq_store_16(kq_range range, uint8_t *to, __m256i a, __m256i b) {
  if (kq_value_bytes(range.type) == 1) {
    _mm_storeu_si128((__m128i *)(void *)to, kq_limited_bytes(range, a, b));
  } else {
    _mm256_storeu_si256((__m256i *)(void *)to, kq_limited_words(range, a, b));
  }
}

/* The same for the first `count` of them only. */
KQ_INLINE void kq_store_some(kq_range range, uint8_t *to, __m256i a, __m256i b, uint32_t count) {
  uint8_t values[2 * KQ_LANES];
  kq_store_16(range, values, a, b);
  memcpy(to, values, count * kq_value_bytes(range.type));
}

/* ---- From sums to outputs: kq_finish_type in kq_gemm.h ---- */

/* The addends of a block, of the pixels from some number on. */
typedef struct {
  const uint8_t *first; /* NULL: there are none */
  size_t step;          /* bytes from one pixel to the next */
  uint32_t channels;
  uint8_t type;
} kq_addends;

/* Those of a pixel as 32-bit lanes; what is behind a smaller block's channels is not read. */
KQ_INLINE void kq_load_addends(const kq_addends *addends, uint32_t pixel, __m256i r[2]) {
  const uint8_t *from = addends->first + pixel * addends->step;
  uint8_t values[2 * KQ_LANES] = {0};
  if (addends->channels < KQ_LANES) {
    memcpy(values, from, addends->channels * kq_value_bytes(addends->type));
    from = values;
  }
  kq_load_16(addends->type, from, 0, r);
}

/* 64-bit offsets of 8 lanes as 32-bit values, which they fit. */
KQ_INLINE __m256i kq_low_halves(const int64_t *offset) {
  const __m256i low = _mm256_load_si256((const __m256i *)(const void *)offset);
  const __m256i high = _mm256_load_si256((const __m256i *)(const void *)(offset + 4));
  const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
  return _mm256_blend_epi32(_mm256_permutevar8x32_epi32(low, order), _mm256_permutevar8x32_epi32(high, order), 0xf0);
}

KQ_INLINE void kq_multiply_32(const kq_gemm *gemm, uint32_t lane, uint32_t count, int half, __m256i sum[][2]) {
  const __m256i factor = _mm256_load_si256((const __m256i *)(const void *)(gemm->factor + lane));
  const __m256i offset = kq_low_halves(gemm->offset + lane);
  for (uint32_t p = 0; p < count; ++p) {
    sum[p][half] = _mm256_add_epi32(_mm256_mullo_epi32(sum[p][half], factor), offset);
  }
}

/* Even and odd lanes as 64-bit products. As the shifted total fits 32 bits and shift <= 32, it is the low half of a logical
 * shift; the odd lanes' are moved to the high half by shifting left instead. */
KQ_INLINE void kq_multiply_64(const kq_gemm *gemm, uint32_t lane, uint32_t count, int half, const kq_addends *addends,
                              __m256i sum[][2]) {
  const __m256i even_factor = _mm256_load_si256((const __m256i *)(const void *)(gemm->factor + lane));
  const __m256i odd_factor = _mm256_srli_epi64(even_factor, 32);
  const __m256i low = _mm256_load_si256((const __m256i *)(const void *)(gemm->offset + lane));
  const __m256i high = _mm256_load_si256((const __m256i *)(const void *)(gemm->offset + lane + 4));
  const __m256i even_offset = _mm256_permute4x64_epi64(_mm256_unpacklo_epi64(low, high), 0xd8);
  const __m256i odd_offset = _mm256_permute4x64_epi64(_mm256_unpackhi_epi64(low, high), 0xd8);
  const __m128i right = _mm_cvtsi32_si128(gemm->shift), left = _mm_cvtsi32_si128(32 - gemm->shift);
  const __m256i power = _mm256_set1_epi32((int32_t)1 << gemm->addend_places);
  for (uint32_t p = 0; p < count; ++p) {
    __m256i even = _mm256_add_epi64(_mm256_mul_epi32(sum[p][half], even_factor), even_offset);
    __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(sum[p][half], 32), odd_factor), odd_offset);
    if (addends->first != NULL) {
      __m256i r[2];
      kq_load_addends(addends, p, r);
      even = _mm256_add_epi64(even, _mm256_mul_epi32(r[half], power));
      odd = _mm256_add_epi64(odd, _mm256_mul_epi32(_mm256_srli_epi64(r[half], 32), power));
    }
    sum[p][half] = _mm256_blend_epi32(_mm256_srl_epi64(even, right), _mm256_sll_epi64(odd, left), 0xaa);
  }
}

/* Shifted sums of `count` pixels, with their rounding half already in them. */
KQ_INLINE void kq_requantize_tile(const kq_gemm *gemm, uint32_t number, uint32_t count, const kq_addends *addends,
                                  __m256i sum[][2]) {
  const uint32_t lane = number * KQ_LANES;
  if (gemm->finish == KQ_FINISH_64) {
    kq_multiply_64(gemm, lane, count, 0, addends, sum);
    kq_multiply_64(gemm, lane + 8, count, 1, addends, sum);
    return;
  }
  if (gemm->has_factor) {
    kq_multiply_32(gemm, lane, count, 0, sum);
    kq_multiply_32(gemm, lane + 8, count, 1, sum);
  }
  const __m128i places = _mm_cvtsi32_si128(gemm->addend_places);
  for (uint32_t p = 0; p < count && addends->first != NULL; ++p) {
    __m256i r[2];
    kq_load_addends(addends, p, r);
    sum[p][0] = _mm256_add_epi32(sum[p][0], _mm256_sll_epi32(r[0], places));
    sum[p][1] = _mm256_add_epi32(sum[p][1], _mm256_sll_epi32(r[1], places));
  }
  const __m128i shift = _mm_cvtsi32_si128(gemm->shift);
  for (uint32_t p = 0; p < count; ++p) {
    sum[p][0] = _mm256_sra_epi32(sum[p][0], shift);
    sum[p][1] = _mm256_sra_epi32(sum[p][1], shift);
  }
}

/* Where and how a block's outputs are stored: what is the same for all its pixels. */
typedef struct {
  kq_range range;
  uint32_t number;  /* of the block */
  uint32_t channels;
  size_t step;      /* bytes from one pixel's outputs to the next one's */
  size_t first;     /* bytes from a pixel's first output to the block's */
} kq_target;

KQ_INLINE kq_target kq_target_of(const kq_operator *op, const kq_gemm *gemm, uint32_t number) {
  const kq_tensor *y = op->output;
  const size_t bytes = kq_value_bytes(y->type);
  const kq_target target = {
      .range = kq_range_of(op),
      .number = number,
      .channels = gemm->block[number].channels,
      .step = y->shape[y->rank - 1] * bytes,
      .first = gemm->block[number].first_channel * bytes,
  };
  return target;
}

/* Addends of the block from pixel number `pixel` on. */
KQ_INLINE kq_addends kq_addends_of(const kq_operator *op, const kq_gemm *gemm, const kq_target *target, uint32_t pixel,
                                   const uint8_t *output) {
  kq_addends addends = {.first = NULL};
  if (gemm->has_addend) {
    const kq_tensor *r = op->input[KQ_ADDEND];
    const size_t bytes = kq_value_bytes(r->type), channels = op->output->shape[3];
    const size_t first = pixel * channels + gemm->block[target->number].first_channel;
    addends = (kq_addends){
        .first = kq_gemm_addend(op, output) + first * bytes,
        .step = channels * bytes,
        .channels = target->channels,
        .type = r->type,
    };
  }
  return addends;
}

/* Addends of a pixel's block, for FLOAT32 outputs, as floats. */
KQ_INLINE void kq_float_addends(const kq_operator *op, const kq_target *target, uint32_t pixel, const uint8_t *output,
                                float values[KQ_LANES]) {
  const kq_values addends = kq_values_of(op->input[KQ_ADDEND]);
  const uint32_t first = (uint32_t)((pixel * target->step + target->first) / sizeof(float));
  for (uint32_t lane = 0; lane < target->channels; ++lane) {
    values[lane] = kq_value(&addends, kq_gemm_addend(op, output), first + lane);
  }
}

/* FLOAT32 outputs: sum * factor + offset + addend, limited. Of a NaN, max_ps and min_ps return their second operand, itself. */
KQ_INLINE void kq_finish_floats(const kq_operator *op, const kq_gemm *gemm, const kq_target *target, uint32_t pixel,
                                uint32_t count, __m256i sum[][2], uint8_t *output) {
  uint8_t *to = output + pixel * target->step + target->first;
  const __m256 low = _mm256_set1_ps(op->low.real), high = _mm256_set1_ps(op->high.real);
  const float *factor = (const float *)(const void *)gemm->factor + (size_t)target->number * KQ_LANES;
  const float *offset = (const float *)(const void *)gemm->offset + (size_t)target->number * KQ_LANES;
  for (uint32_t p = 0; p < count; ++p, to += target->step) {
    float values[KQ_LANES], addends[KQ_LANES] = {0};
    if (gemm->has_addend) kq_float_addends(op, target, pixel + p, output, addends);
    for (int half = 0; half < 2; ++half) {
      __m256 v = _mm256_mul_ps(_mm256_castsi256_ps(sum[p][half]), _mm256_loadu_ps(factor + 8 * half));
      v = _mm256_add_ps(v, _mm256_loadu_ps(offset + 8 * half));
      if (gemm->has_addend) v = _mm256_add_ps(v, _mm256_loadu_ps(addends + 8 * half));
      _mm256_storeu_ps(values + 8 * half, _mm256_min_ps(high, _mm256_max_ps(low, v)));
    }
    memcpy(to, values, target->channels * sizeof(float));
  }
}

/* Outputs of the `count` pixels from number `pixel` on from their sums. */
KQ_INLINE void kq_finish_tile(const kq_operator *op, const kq_gemm *gemm, const kq_target *target, uint32_t pixel, uint32_t count,
                              __m256i sum[][2], uint8_t *output) {
  const size_t step = target->step;
  uint8_t *to = output + pixel * step + target->first;
  if (gemm->finish == KQ_FINISH_FLOAT && target->range.type == KQ_FLOAT32) {
    kq_finish_floats(op, gemm, target, pixel, count, sum, output);
    return;
  }
  if (gemm->finish >= KQ_FINISH_ANY) {
    const kq_block *block = &gemm->block[target->number];
    for (uint32_t p = 0; p < count; ++p) kq_gemm_finish(op, gemm, block, (const void *)sum[p], output, pixel + p);
    return;
  }
  const kq_addends addends = kq_addends_of(op, gemm, target, pixel, output);
  kq_requantize_tile(gemm, target->number, count, &addends, sum);
  const kq_range range = target->range;
  if (target->channels < KQ_LANES) {
    for (uint32_t p = 0; p < count; ++p, to += step) kq_store_some(range, to, sum[p][0], sum[p][1], target->channels);
  } else if (range.type == KQ_UFIXED8) {
    for (uint32_t p = 0; p < count; ++p, to += step) {
      _mm_storeu_si128((__m128i *)(void *)to, kq_limited_bytes(range, sum[p][0], sum[p][1]));
    }
  } else {
    for (uint32_t p = 0; p < count; ++p, to += step) kq_store_16(range, to, sum[p][0], sum[p][1]);
  }
}

#endif
