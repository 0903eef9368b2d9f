/* AVERAGE_POOL_2D in integers: with the sum s of N valid taps and k = n_x - n_y,
 *     y = floor((2 s + D) / (2 D)), D = N * 2^k,  and for k < 0  floor((2 s * 2^-k + N) / (2 N)):
 * one rounding of the exact average. */
#include "kq_pool.h"

/* floor(a / b) for b > 0; in 32 bits where both fit them, as a 64-bit division is long on small processors. */
static int64_t divide_floor(int64_t a, int64_t b, uint8_t bits) {
  if (bits == 32) return (int32_t)a / (int32_t)b - ((int32_t)a % (int32_t)b < 0 ? 1 : 0);
  return a / b - (a % b < 0 ? 1 : 0);
}

static void compute(const kq_operator *op, const kq_pixel *pixel) {
  const kq_tensor *x = op->input[0];
  const int k = x->frac_bits - op->output->frac_bits;
  const int64_t taps = kq_valid_taps(pixel), denominator = taps << (k > 0 ? k : 0);
  for (uint32_t channel = 0; channel < op->output->shape[3]; ++channel) {
    int64_t sum = 0;
    for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
      for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column) {
        sum += pixel->read(pixel->input, kq_pool_place(op, pixel, row, column) + channel);
      }
    }
    const int64_t numerator = sum * ((int64_t)2 << (k < 0 ? -k : 0)) + denominator;
    const int64_t mean = divide_floor(numerator, 2 * denominator, op->accumulator_bits);
    pixel->write(pixel->output, pixel->first + channel, (int32_t)kq_clamp(mean, op->low.fixed, op->high.fixed));
  }
}

static void run(const kq_operator *op, uint8_t *arena) { kq_each_pixel(op, arena, compute, NULL); }

const kq_kernel kq_average_pool_2d = {
    .name = "kq_average_pool_2d",
    .kind = KQ_AVERAGE_POOL_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_is_fixed_throughout,
    .run = run,
};
