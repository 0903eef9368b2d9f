/* CONV_2D in float. Sums are formed in double: exact products, and an error far below one rounding to float32. */
#include "kq_conv.h"
#include "kq_float.h"

static double sum_of(const kq_operator *op, const kq_pixel *pixel, uint32_t channel) {
  const kq_tensor *x = op->input[KQ_X], *kernel = op->input[KQ_KERNEL];
  const uint32_t taps = kernel->shape[2], channels = kernel->shape[3], row_size = kernel->elements / kernel->shape[0];
  double sum = 0;
  for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
    const uint32_t line = kq_tap(op, 0, pixel->rows, row) * x->shape[2];
    for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column) {
      const uint32_t place = (line + kq_tap(op, 1, pixel->columns, column)) * x->shape[3] + kq_group_channel(op, channel);
      const uint32_t first = (row * taps + column) * channels;
      for (uint32_t i = 0; i < channels; ++i) {
        const float weight = kernel->type == KQ_SIGN ? (float)kq_weight(kernel, channel, first + i)
                                                     : kq_value(kernel, kernel->data, channel * row_size + first + i);
        sum += (double)kq_value(x, pixel->input, place + i) * (double)weight;
      }
    }
  }
  return sum;
}

static void compute(const kq_operator *op, const kq_pixel *pixel) {
  for (uint32_t channel = 0; channel < op->output->shape[3]; ++channel) {
    const uint32_t place = pixel->first + channel;
    float total = kq_float_total(op, channel, (float)sum_of(op, pixel, channel));
    if (pixel->addend != NULL) total += kq_value(op->input[KQ_ADDEND], pixel->addend, place);
    kq_put_float(op, pixel->output, place, total);
  }
}

static void run(const kq_operator *op, uint8_t *arena) { kq_each_pixel(op, arena, compute); }

const kq_kernel kq_conv_2d_float = {
    .name = "kq_conv_2d_float",
    .kind = KQ_CONV_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = 0,
    .run = run,
};
