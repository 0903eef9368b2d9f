/* CONV_2D in float. Sums are formed in double: exact products, and an error far below one rounding to float32. */
#include "kq_conv.h"
#include "kq_float.h"

/* What all pixels share. */
typedef struct {
  kq_float_totals totals;
  kq_values values, weights;
  kq_rows rows;
} kq_shared;

static double sum_of(const kq_operator *op, const kq_pixel *pixel, uint32_t channel) {
  const kq_shared *const shared = pixel->shared;
  const kq_tensor *x = op->input[KQ_X], *kernel = op->input[KQ_KERNEL];
  const uint32_t taps = kernel->shape[2], channels = kernel->shape[3];
  double sum = 0;
  for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
    const uint32_t line = kq_tap(op, 0, pixel->rows, row) * x->shape[2];
    for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column) {
      const uint32_t place = (line + kq_tap(op, 1, pixel->columns, column)) * x->shape[3] + kq_group_channel(op, channel);
      const uint32_t first = (row * taps + column) * channels;
      for (uint32_t i = 0; i < channels; ++i) {
        const float weight = kq_float_weight(&shared->rows, &shared->weights, channel, first + i);
        sum += (double)kq_value(&shared->values, pixel->input, place + i) * (double)weight;
      }
    }
  }
  return sum;
}

static void compute(const kq_operator *op, const kq_pixel *pixel) {
  const kq_shared *const shared = pixel->shared;
  for (uint32_t channel = 0; channel < op->output->shape[3]; ++channel) {
    const uint32_t place = pixel->first + channel;
    const float sum = (float)sum_of(op, pixel, channel);
    kq_put_float(op, pixel->output, place, kq_float_total(&shared->totals, channel, place, sum));
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const kq_shared shared = {
      .totals = kq_float_totals_of(op, arena),
      .values = kq_values_of(op->input[KQ_X]),
      .weights = kq_values_of(kernel),
      .rows = kq_rows_of(kernel),
  };
  kq_each_pixel(op, arena, compute, &shared);
}

const kq_kernel kq_conv_2d_float = {
    .name = "kq_conv_2d_float",
    .kind = KQ_CONV_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .weight_layout = KQ_ANY_LAYOUT,
    .accumulator_bits = 0,
    .run = run,
};
