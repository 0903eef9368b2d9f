#include "kq_arithmetic.h"

/* Shifted right, total and the half that rounds it fit 64 bits by the accumulator proof. Shifted left, magnitudes from 2^30 on
 * leave every stored range: limiting them first keeps the product inside 64 bits. */
int32_t kq_requantize(int64_t total, int shift, int32_t low, int32_t high) {
  if (shift > 0) {
    total = kq_shift_floor(total + ((int64_t)1 << (shift - 1)), shift);
  } else if (shift < 0) {
    const int64_t beyond = (int64_t)1 << 30;
    total = kq_clamp(total, -beyond, beyond) * ((int64_t)1 << (shift < -32 ? 32 : -shift));
  }
  return (int32_t)kq_clamp(total, low, high);
}
