/* Bounds on magnitudes: sums, products and shifts of numbers up to 2^63 that give 2^63 where the result would be larger. No
 * accumulator holds that, and none of these makes anything smaller, so that bounds are exact as far as they matter. */
#include "kq_verify.h"

/* The sum is at most 2^64 - 1 unless both are 2^63. */
uint64_t kq_bound_sum(uint64_t a, uint64_t b) {
  return a == KQ_TOO_LARGE || a + b >= KQ_TOO_LARGE ? KQ_TOO_LARGE : a + b;
}

/* By halves of a, without a division, which small processors do in software. */
uint64_t kq_bound_product(uint64_t a, uint32_t b) {
  const uint64_t low = (a & UINT32_MAX) * b, high = (a >> 32) * b + (low >> 32);
  return high >> 31 != 0 ? KQ_TOO_LARGE : high << 32 | (low & UINT32_MAX);
}

uint64_t kq_bound_shifted(uint64_t a, int places) {
  if (a == 0) return 0;
  return places > 62 || a > KQ_TOO_LARGE >> places ? KQ_TOO_LARGE : a << places;
}
