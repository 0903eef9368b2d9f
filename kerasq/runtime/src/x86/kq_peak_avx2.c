/* The rate of vpmaddubsw. See kq_peak.h. */
#include <immintrin.h>

#include "kq_peak.h"

#define BEGIN(i) __m256i v##i = _mm256_set1_epi32(i);
#define MULTIPLY(i) v##i = multiply(v##i, w);
#define MIX(i) w = _mm256_xor_si256(w, v##i);

static inline __m256i multiply(__m256i v, __m256i w) { return _mm256_maddubs_epi16(v, w); }

uint64_t kq_peak_avx2(uint32_t rounds) {
  __m256i w = _mm256_set1_epi32((int)rounds);
  uint8_t bytes[sizeof w];
  volatile uint8_t used;
  KQ_EACH_CHAIN(BEGIN)
  for (uint32_t round = 0; round < rounds; ++round) {
    KQ_EACH_CHAIN(MULTIPLY)
  }
  KQ_EACH_CHAIN(MIX) /* every result counts: no compiler leaves a multiplication out */
  _mm256_storeu_si256((__m256i *)(void *)bytes, w);
  used = bytes[0];
  (void)used;
  return (uint64_t)rounds * KQ_CHAINS * 32;
}
