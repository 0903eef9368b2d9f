/* CONV_2D where a sum may need 64 bits, where the exact result becomes FLOAT32, or where rows of weights lie in pairs, as some
 * processors want them: every type through one slow loop. */
#include "kq_conv.h"
#include "kq_float.h"

/* What all pixels share. */
typedef struct {
  kq_totals totals;
  kq_rows weights;
} kq_shared;

static int64_t sum_of(const kq_operator *op, const kq_pixel *pixel, const kq_rows *weights, uint32_t channel) {
  const kq_tensor *x = op->input[KQ_X], *kernel = op->input[KQ_KERNEL];
  const uint32_t taps = kernel->shape[2], channels = kernel->shape[3];
  int64_t sum = kq_has_absent(op, pixel) ? kq_absent_sum(op, pixel, weights, channel) : 0;
  for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
    const uint32_t line = kq_tap(op, 0, pixel->rows, row) * x->shape[2];
    for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column) {
      const uint32_t place = (line + kq_tap(op, 1, pixel->columns, column)) * x->shape[3] + kq_group_channel(op, channel);
      const uint32_t first = (row * taps + column) * channels;
      for (uint32_t i = 0; i < channels; ++i) {
        sum += (int64_t)pixel->read(pixel->input, place + i) * kq_weight(weights, channel, first + i);
      }
    }
  }
  return sum;
}

static int64_t total_of(const kq_operator *op, const kq_pixel *pixel, uint32_t channel) {
  const kq_shared *const shared = pixel->shared;
  return kq_total(&shared->totals, channel, pixel->first + channel, sum_of(op, pixel, &shared->weights, channel));
}

static void compute(const kq_operator *op, const kq_pixel *pixel) {
  const int shift = ((const kq_shared *)pixel->shared)->totals.shift;
  for (uint32_t channel = 0; channel < op->output->shape[3]; ++channel) {
    const int32_t y = kq_requantize(total_of(op, pixel, channel), shift, op->low.fixed, op->high.fixed);
    pixel->write(pixel->output, pixel->first + channel, y);
  }
}

static void compute_to_float(const kq_operator *op, const kq_pixel *pixel) {
  const int shift = ((const kq_shared *)pixel->shared)->totals.shift;
  for (uint32_t channel = 0; channel < op->output->shape[3]; ++channel) {
    kq_put_float(op, pixel->output, pixel->first + channel, kq_scaled_float(total_of(op, pixel, channel), -shift));
  }
}

static void run_with(const kq_operator *op, uint8_t *arena, void (*compute_pixel)(const kq_operator *, const kq_pixel *)) {
  const kq_shared shared = {.totals = kq_totals_of(op, arena), .weights = kq_rows_of(op->input[KQ_KERNEL])};
  kq_each_pixel(op, arena, compute_pixel, &shared);
}

static void run(const kq_operator *op, uint8_t *arena) { run_with(op, arena, compute); }
static void run_to_float(const kq_operator *op, uint8_t *arena) { run_with(op, arena, compute_to_float); }

const kq_kernel kq_conv_2d_wide = {
    .name = "kq_conv_2d_wide",
    .kind = KQ_CONV_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .weight_layout = KQ_ANY_LAYOUT,
    .accumulator_bits = 64,
    .accepts = kq_has_fixed_output,
    .run = run,
};

const kq_kernel kq_conv_2d_pairs = {
    .name = "kq_conv_2d_pairs",
    .kind = KQ_CONV_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_FIXED8,
    .weight_layout = KQ_LAYOUT_PAIRS,
    .accumulator_bits = 32,
    .accepts = kq_has_fixed_output,
    .run = run,
};

const kq_kernel kq_conv_2d_to_float = {
    .name = "kq_conv_2d_to_float",
    .kind = KQ_CONV_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .weight_layout = KQ_ANY_LAYOUT,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_is_integer_to_float,
    .run = run_to_float,
};
