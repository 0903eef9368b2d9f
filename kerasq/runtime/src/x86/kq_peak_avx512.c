/* The rate of vpdpbusd: 8 chains of multiplications that wait for nothing but themselves: two pipelines of three or four stages
 * are full. */
#ifdef KQ_SIMDE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#endif

#include <immintrin.h>

#include "kq_peak.h"

#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define BEGIN(i) __m512i v##i = _mm512_set1_epi32(i);
#define MULTIPLY(i) v##i = multiply(v##i, w);
#define MIX(i) w = _mm512_xor_si512(w, v##i);

static inline __m512i multiply(__m512i v, __m512i w) { return _mm512_dpbusd_epi32(v, w, w); }

uint64_t kq_peak_avx512(uint32_t rounds) {
  __m512i w = _mm512_set1_epi32((int)rounds);
  uint8_t bytes[sizeof w];
  volatile uint8_t used;
  EACH(BEGIN)
  for (uint32_t round = 0; round < rounds; ++round) {
    EACH(MULTIPLY)
  }
  EACH(MIX) /* every result counts: no compiler leaves a multiplication out */
  _mm512_storeu_si512(bytes, w);
  used = bytes[0];
  (void)used;
  return (uint64_t)rounds * 8 * 64;
}
