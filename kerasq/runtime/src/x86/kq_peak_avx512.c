/* The rate of vpdpbusd. See kq_peak.h. */
#ifdef KQ_SIMDE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#endif

#include <immintrin.h>

#include "kq_peak.h"

#define BEGIN(i) __m512i v##i = _mm512_set1_epi32(i);
#define MULTIPLY(i) v##i = multiply(v##i, w);
#define MIX(i) w = _mm512_xor_si512(w, v##i);

static inline __m512i multiply(__m512i v, __m512i w) { return _mm512_dpbusd_epi32(v, w, w); }

uint64_t kq_peak_avx512(uint32_t rounds) {
  __m512i w = _mm512_set1_epi32((int)rounds);
  uint8_t bytes[sizeof w];
  volatile uint8_t used;
  KQ_EACH_CHAIN(BEGIN)
  for (uint32_t round = 0; round < rounds; ++round) {
    KQ_EACH_CHAIN(MULTIPLY)
  }
  KQ_EACH_CHAIN(MIX) /* every result counts: no compiler leaves a multiplication out */
  _mm512_storeu_si512(bytes, w);
  used = bytes[0];
  (void)used;
  return (uint64_t)rounds * KQ_CHAINS * 64;
}
