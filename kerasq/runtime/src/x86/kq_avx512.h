/* The functions of AVX-512: the processor's, or those of SIMDe, which run, slowly, on processors without AVX-512. */
#ifndef KQ_AVX512_H
#define KQ_AVX512_H

#ifdef KQ_SIMDE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#endif

#include "../packed/kq_rounding.h"
#include "kq_wide.h"

KQ_INLINE __m512i kq_both_halves(__m256i low, __m256i high) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

KQ_INLINE __m256i kq_half(__m512i v, int half) {
  return half == 0 ? _mm512_castsi512_si256(v) : _mm512_extracti64x4_epi64(v, 1);
}

/* sum * factor + offset of 16 integers and floats, rounded once in the rounding mode, then to an integer in it; 16 bytes as
 * integers; the first bytes, 1 to 64, from memory (with zeros behind them) and to it; an arithmetic shift by a number that is the
 * same for all. SIMDe lacks these. */
#ifdef KQ_SIMDE
KQ_INLINE __m256 kq_half_floats(__m512 v, int half) { return _mm256_castsi256_ps(kq_half(_mm512_castps_si512(v), half)); }

KQ_INLINE __m256i kq_rounded_half(__m512i sum, __m512 factor, __m512 offset, int half) {
  return _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_cvtepi32_ps(kq_half(sum, half)), kq_half_floats(factor, half),
                                            kq_half_floats(offset, half)));
}

KQ_INLINE __m512i kq_rounded(__m512i sum, __m512 factor, __m512 offset) {
  return kq_both_halves(kq_rounded_half(sum, factor, offset, 0), kq_rounded_half(sum, factor, offset, 1));
}

KQ_INLINE __m512i kq_widened_bytes(bool is_signed, __m128i bytes) {
  const __m128i high = _mm_srli_si128(bytes, 8);
  return is_signed ? kq_both_halves(_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(high))
                   : kq_both_halves(_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(high));
}

KQ_INLINE __m512i kq_load_first(const uint8_t *from, uint32_t count) {
  uint8_t values[64] = {0};
  memcpy(values, from, count);
  return _mm512_loadu_si512(values);
}

KQ_INLINE void kq_store_first(uint8_t *to, __m512i v, uint32_t count) {
  uint8_t values[64];
  _mm512_storeu_si512(values, v);
  memcpy(to, values, count);
}

KQ_INLINE __m512i kq_shifted(__m512i v, __m128i places) {
  return kq_both_halves(_mm256_sra_epi32(kq_half(v, 0), places), _mm256_sra_epi32(kq_half(v, 1), places));
}
#else
KQ_INLINE __m512i kq_rounded(__m512i sum, __m512 factor, __m512 offset) {
  return _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), factor, offset));
}

KQ_INLINE __m512i kq_widened_bytes(bool is_signed, __m128i bytes) {
  return is_signed ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
}

KQ_INLINE __mmask64 kq_first_lanes(uint32_t count) { return ~(__mmask64)0 >> (64 - count); }

KQ_INLINE __m512i kq_load_first(const uint8_t *from, uint32_t count) {
  return _mm512_maskz_loadu_epi8(kq_first_lanes(count), from);
}

KQ_INLINE void kq_store_first(uint8_t *to, __m512i v, uint32_t count) {
  _mm512_mask_storeu_epi8(to, kq_first_lanes(count), v);
}

KQ_INLINE __m512i kq_shifted(__m512i v, __m128i places) { return _mm512_sra_epi32(v, places); }
#endif

/* 32 bits of input to all lanes. */
KQ_INLINE __m512i kq_broadcast_512(const uint8_t *x) {
  int32_t bits;
  memcpy(&bits, x, sizeof bits);
  return _mm512_set1_epi32(bits);
}

/* sum + products of one step: four of 8 bits, without saturation (vpdpbusds would saturate); two of 16 bits, modulo 2^32; or a
 * float. */
KQ_INLINE __m512i kq_products_u8(__m512i sum, __m512i x, __m512i weights) { return _mm512_dpbusd_epi32(sum, x, weights); }
KQ_INLINE __m512i kq_products_s16(__m512i sum, __m512i x, __m512i weights) { return _mm512_dpwssd_epi32(sum, x, weights); }
KQ_INLINE __m512i kq_products_f32(__m512i sum, __m512i x, __m512i weights) {
  return _mm512_castps_si512(
      _mm512_fmadd_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(weights), _mm512_castsi512_ps(sum)));
}

#endif
