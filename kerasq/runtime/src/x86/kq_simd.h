/* What the AVX2 files share. */
#ifndef KQ_SIMD_H
#define KQ_SIMD_H

#include <immintrin.h>

#include "../kq_float.h"
#include "../packed/kq_gemm.h"

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

/* Stored integers of a type in lanes of as many bits, as in the file: the larger and the smaller of two, and one in all lanes. */
KQ_INLINE __m256i kq_larger(uint8_t type, __m256i a, __m256i b) {
  switch (type) {
    case KQ_FIXED8: return _mm256_max_epi8(a, b);
    case KQ_UFIXED8: return _mm256_max_epu8(a, b);
    case KQ_FIXED16: return _mm256_max_epi16(a, b);
    default: return _mm256_max_epu16(a, b);
  }
}

KQ_INLINE __m256i kq_smaller(uint8_t type, __m256i a, __m256i b) {
  switch (type) {
    case KQ_FIXED8: return _mm256_min_epi8(a, b);
    case KQ_UFIXED8: return _mm256_min_epu8(a, b);
    case KQ_FIXED16: return _mm256_min_epi16(a, b);
    default: return _mm256_min_epu16(a, b);
  }
}

KQ_INLINE __m256i kq_all_lanes(uint8_t type, int32_t value) {
  return kq_value_bytes(type) == 1 ? _mm256_set1_epi8((char)value) : _mm256_set1_epi16((int16_t)value);
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

/* 32 bits of input to all lanes. */
KQ_INLINE __m256i kq_broadcast(const uint8_t *x) {
  int32_t bits;
  memcpy(&bits, x, sizeof bits);
  return _mm256_set1_epi32(bits);
}

/* sum += terms in 16 bits, in the sum's own register: left alone, GCC moves every sum to another one in every step. */
#define KQ_ADD_TO(sum, terms) __asm__("vpaddw %1, %0, %0" : "+x"(sum) : "x"(terms));

#endif
