/* From 16 sums of a pixel to stored outputs, for AVX2: kq_finish_type in kq_gemm.h. */
#ifndef KQ_FINISH_H
#define KQ_FINISH_H

#include "kq_simd.h"

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

/* FINISH_FMA without the addends, see kq_gemm.h: in rounding mode kq_round_down. */
KQ_INLINE void kq_multiply_fma(const kq_gemm *gemm, uint32_t lane, uint32_t count, int half, __m256i sum[][2]) {
  const __m256 factor = _mm256_load_ps((const float *)(const void *)(gemm->factor + lane));
  const __m256 offset = _mm256_load_ps((const float *)(const void *)gemm->offset + lane);
  for (uint32_t p = 0; p < count; ++p) {
    sum[p][half] = _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[p][half]), factor, offset));
  }
}

KQ_INLINE void kq_add_to_both(__m256i sum[2], const __m256i r[2], __m128i places) {
  sum[0] = _mm256_add_epi32(sum[0], _mm256_sll_epi32(r[0], places));
  sum[1] = _mm256_add_epi32(sum[1], _mm256_sll_epi32(r[1], places));
}

KQ_INLINE void kq_add_addends(const kq_gemm *gemm, uint32_t count, const kq_addends *addends, __m256i sum[][2]) {
  const __m128i places = _mm_cvtsi32_si128(gemm->addend_places);
  __m256i r[2];
  if (addends->type == KQ_UFIXED8 && addends->channels == KQ_LANES) { /* as behind most activations */
    for (uint32_t p = 0; p < count; ++p) {
      kq_load_16(KQ_UFIXED8, addends->first + p * addends->step, 0, r);
      kq_add_to_both(sum[p], r, places);
    }
    return;
  }
  for (uint32_t p = 0; p < count; ++p) {
    kq_load_addends(addends, p, r);
    kq_add_to_both(sum[p], r, places);
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
  if (gemm->finish == KQ_FINISH_FMA) {
    kq_multiply_fma(gemm, lane, count, 0, sum);
    kq_multiply_fma(gemm, lane + 8, count, 1, sum);
    if (addends->first == NULL) return;
  } else if (gemm->has_factor) {
    kq_multiply_32(gemm, lane, count, 0, sum);
    kq_multiply_32(gemm, lane + 8, count, 1, sum);
  }
  if (addends->first != NULL) kq_add_addends(gemm, count, addends, sum);
  const __m128i shift = _mm_cvtsi32_si128(gemm->shift);
  for (uint32_t p = 0; p < count; ++p) {
    sum[p][0] = _mm256_sra_epi32(sum[p][0], shift);
    sum[p][1] = _mm256_sra_epi32(sum[p][1], shift);
  }
}

/* Where and how a block's outputs are stored: what is the same for all its pixels. */
typedef struct {
  kq_range range;
  __m256i low, high; /* of outputs of 8 bits, in lanes of as many */
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
      .low = _mm256_set1_epi8((char)op->low.fixed),
      .high = _mm256_set1_epi8((char)op->high.fixed),
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

/* Outputs of 8 bits of two pixels, 16 of each: 32-bit values saturated, in order, and limited. */
KQ_INLINE __m256i kq_two_pixels(uint8_t type, __m256i low, __m256i high, const __m256i a[2], const __m256i b[2]) {
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i first = _mm256_packs_epi32(a[0], a[1]), second = _mm256_packs_epi32(b[0], b[1]);
  if (type == KQ_UFIXED8) {
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(first, second), order);
    return _mm256_min_epu8(_mm256_max_epu8(bytes, low), high);
  }
  const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(first, second), order);
  return _mm256_min_epi8(_mm256_max_epi8(bytes, low), high);
}

/* The first `count` bytes, at most 16. */
KQ_INLINE void kq_store_bytes(uint8_t *to, __m128i bytes, uint32_t count) {
  if (count == KQ_LANES) {
    _mm_storeu_si128((__m128i *)(void *)to, bytes);
    return;
  }
  if (count & 8) {
    _mm_storel_epi64((__m128i *)(void *)to, bytes);
    if (count == 8) return;
    bytes = _mm_srli_si128(bytes, 8);
    to += 8;
  }
  uint64_t left = (uint64_t)_mm_cvtsi128_si64(bytes);
  for (uint32_t size = 4; size > 0; size /= 2) {
    if ((count & size) == 0) continue;
    memcpy(to, &left, size);
    left >>= 8 * size;
    to += size;
  }
}

/* ---- Nearly all outputs: of 8 bits, from sums that are only shifted, or multiplied as floats ---- */

KQ_INLINE bool kq_finishes_bytes(const kq_operator *op, const kq_gemm *gemm) {
  return kq_value_bytes(op->output->type) == 1 && kq_is_simple_finish(gemm);
}

/* How addends are read: not at all, as 16 bytes, or as it comes. */
typedef enum { KQ_NO_ADDEND, KQ_UNSIGNED_ADDEND, KQ_SIGNED_ADDEND, KQ_ANY_ADDEND } kq_addend_kind;

KQ_INLINE kq_addend_kind kq_addend_kind_of(const kq_addends *addends) {
  if (addends->first == NULL) return KQ_NO_ADDEND;
  if (addends->channels < KQ_LANES || kq_value_bytes(addends->type) != 1) return KQ_ANY_ADDEND;
  return addends->type == KQ_FIXED8 ? KQ_SIGNED_ADDEND : KQ_UNSIGNED_ADDEND;
}

/* What is the same for all pixels of a block. */
typedef struct {
  __m256 factor[2], offset[2];
  __m128i places, shift;
  kq_addends addends; /* from pixel 0 on */
  kq_addend_kind kind;
  bool fma;
} kq_byte_terms;

KQ_INLINE kq_byte_terms kq_byte_terms_of(const kq_operator *op, const kq_gemm *gemm, const kq_target *target,
                                         const uint8_t *output) {
  const size_t lane = (size_t)target->number * KQ_LANES;
  kq_byte_terms terms = {
      .places = _mm_cvtsi32_si128(gemm->addend_places),
      .shift = _mm_cvtsi32_si128(gemm->shift),
      .addends = kq_addends_of(op, gemm, target, 0, output),
      .fma = gemm->finish == KQ_FINISH_FMA,
  };
  for (int half = 0; half < 2; ++half) {
    terms.factor[half] = _mm256_load_ps((const float *)(const void *)(gemm->factor + lane) + 8 * half);
    terms.offset[half] = _mm256_load_ps((const float *)(const void *)gemm->offset + lane + 8 * half);
  }
  terms.kind = kq_addend_kind_of(&terms.addends);
  return terms;
}

/* Shifted sums of a pixel, in place. */
KQ_INLINE void kq_requantize_pixel(const kq_byte_terms *terms, bool fma, kq_addend_kind kind, uint32_t pixel, __m256i sum[2]) {
  for (int half = 0; half < 2 && fma; ++half) {
    sum[half] = _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[half]), terms->factor[half], terms->offset[half]));
  }
  if (fma && kind == KQ_NO_ADDEND) return;
  if (kind != KQ_NO_ADDEND) {
    __m256i r[2];
    if (kind == KQ_ANY_ADDEND) {
      kq_load_addends(&terms->addends, pixel, r);
    } else {
      const uint8_t type = kind == KQ_SIGNED_ADDEND ? KQ_FIXED8 : KQ_UFIXED8;
      kq_load_16(type, terms->addends.first + pixel * terms->addends.step, 0, r);
    }
    kq_add_to_both(sum, r, terms->places);
  }
  sum[0] = _mm256_sra_epi32(sum[0], terms->shift);
  sum[1] = _mm256_sra_epi32(sum[1], terms->shift);
}

/* Compiled for each way. */
KQ_INLINE void kq_finish_pixel_bytes(const kq_byte_terms *terms, const kq_target *target, bool fma, kq_addend_kind kind,
                                     uint32_t pixel, uint32_t count, __m256i sum[][2], uint8_t *to) {
  for (uint32_t p = 0; p < count; p += 2, to += 2 * target->step) {
    const bool both = p + 1 < count;
    kq_requantize_pixel(terms, fma, kind, pixel + p, sum[p]);
    if (both) kq_requantize_pixel(terms, fma, kind, pixel + p + 1, sum[p + 1]);
    const __m256i bytes = kq_two_pixels(target->range.type, target->low, target->high, sum[p], sum[both ? p + 1 : p]);
    kq_store_bytes(to, _mm256_castsi256_si128(bytes), target->channels);
    if (both) kq_store_bytes(to + target->step, _mm256_extracti128_si256(bytes, 1), target->channels);
  }
}

/* The same in the operator's way. */
KQ_INLINE void kq_finish_bytes(const kq_byte_terms *terms, const kq_target *target, uint32_t pixel, uint32_t count,
                               __m256i sum[][2], uint8_t *output) {
  uint8_t *const to = output + pixel * target->step + target->first;
  if (!terms->fma) {
    kq_finish_pixel_bytes(terms, target, false, terms->kind, pixel, count, sum, to);
  } else if (terms->kind == KQ_NO_ADDEND) {
    kq_finish_pixel_bytes(terms, target, true, KQ_NO_ADDEND, pixel, count, sum, to);
  } else if (terms->kind == KQ_UNSIGNED_ADDEND) {
    kq_finish_pixel_bytes(terms, target, true, KQ_UNSIGNED_ADDEND, pixel, count, sum, to);
  } else {
    kq_finish_pixel_bytes(terms, target, true, terms->kind, pixel, count, sum, to);
  }
}

/* ---- All ---- */

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
  if (kq_value_bytes(range.type) != 1) {
    for (uint32_t p = 0; p < count; ++p, to += step) kq_store_some(range, to, sum[p][0], sum[p][1], target->channels);
    return;
  }
  for (uint32_t p = 0; p < count; p += 2, to += 2 * step) {
    const uint32_t second = p + 1 < count ? p + 1 : p;
    const __m256i bytes = kq_two_pixels(range.type, target->low, target->high, sum[p], sum[second]);
    kq_store_bytes(to, _mm256_castsi256_si128(bytes), target->channels);
    if (second != p) kq_store_bytes(to + step, _mm256_extracti128_si256(bytes, 1), target->channels);
  }
}

#endif
