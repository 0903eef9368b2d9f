#include "kq_arithmetic.h"

/* Shifted right by s, the half that rounds is 1 after s - 1 places: floor(t / 2^s + 1/2) = floor((floor(t / 2^(s - 1)) + 1) / 2).
 * What does not fit 32 bits leaves every stored range, and so do, shifted left by s, magnitudes from 2^(30 - s) on, for s = 30 all
 * but 0: the rest is a matter of 32 bits. */
int32_t kq_requantize(int64_t total, int shift, int32_t low, int32_t high) {
  if (shift > 0) total = kq_shift_floor(kq_shift_floor(total, shift - 1) + 1, 1);
  int32_t result = (int32_t)total;
  if (result != total) goto beyond;
  if (shift < 0) {
    const int left = shift < -30 ? 30 : -shift;
    if (kq_magnitude(result) >> (30 - left) != 0) goto beyond;
    result *= (int32_t)1 << left;
  }
  if (result > high) result = high;
  return result < low ? low : result;
beyond:
  return total < 0 ? low : high;
}
