/* MAX_POOL_2D of fixed values: the largest stored integer under the valid taps, clamped. */
#include "kq_pool.h"

static void compute(const kq_operator *op, const kq_pixel *pixel) {
  const int32_t smallest = kq_min_int(op->output->type);
  for (uint32_t channel = 0; channel < op->output->shape[3]; ++channel) {
    int32_t largest = smallest;
    for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
      for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column) {
        const int32_t value = pixel->read(pixel->input, kq_pool_place(op, pixel, row, column) + channel);
        if (value > largest) largest = value;
      }
    }
    pixel->write(pixel->output, pixel->first + channel, (int32_t)kq_clamp(largest, op->low.fixed, op->high.fixed));
  }
}

static void run(const kq_operator *op, uint8_t *arena) { kq_each_pixel(op, arena, compute, NULL); }

const kq_kernel kq_max_pool_2d = {
    .name = "kq_max_pool_2d",
    .kind = KQ_MAX_POOL_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_has_fixed_output,
    .run = run,
};
