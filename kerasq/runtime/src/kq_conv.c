#include "kq_conv.h"

#include "kq_dot.h"

/* What all output channels of a pixel share. */
typedef struct {
  const uint8_t *input;  /* under the first valid tap */
  uint32_t first;        /* number of its first weight in an output channel */
  uint32_t rows, runs;   /* rows of valid taps; runs of the inner loop in each */
  uint32_t count;        /* values of a run */
  size_t next_row, next_run;             /* bytes of input from one to the next */
  uint32_t weights_of_row, weights_of_run;
} kq_walk;

/* Inputs under neighbouring taps of a row, all channels, lie side by side, and so do their weights: one long run for the inner
 * loop. With dilations or groups each tap is a run. */
static kq_walk walk_of(const kq_operator *op, const kq_pixel *pixel) {
  const kq_tensor *x = op->input[KQ_X], *kernel = op->input[KQ_KERNEL];
  const uint32_t taps = kernel->shape[2], channels = kernel->shape[3];
  const size_t value = kq_value_bytes(x->type), line = x->shape[2] * x->shape[3] * value;
  const kq_span rows = pixel->rows, columns = pixel->columns;
  const bool joined = op->groups == 1 && op->dilations[1] == 1;
  kq_walk walk = {.input = pixel->input};
  if (rows.begin >= rows.end || columns.begin >= columns.end) return walk; /* dilated taps may all miss the input */
  walk.input += kq_tap(op, 0, rows, rows.begin) * line + kq_tap(op, 1, columns, columns.begin) * x->shape[3] * value;
  walk.first = (rows.begin * taps + columns.begin) * channels;
  walk.rows = rows.end - rows.begin;
  walk.runs = joined ? 1 : columns.end - columns.begin;
  walk.count = joined ? (columns.end - columns.begin) * channels : channels;
  walk.next_row = op->dilations[0] * line;
  walk.next_run = op->dilations[1] * x->shape[3] * value;
  walk.weights_of_row = taps * channels;
  walk.weights_of_run = channels;
  return walk;
}

static int32_t sum_of(const kq_walk *walk, kq_dot dot, const uint8_t *input, const uint8_t *weights, uint32_t first) {
  int32_t sum = 0;
  for (uint32_t row = 0; row < walk->rows; ++row) {
    for (uint32_t run = 0; run < walk->runs; ++run) {
      sum += dot(input + run * walk->next_run, weights, first + run * walk->weights_of_run, walk->count);
    }
    input += walk->next_row;
    first += walk->weights_of_row;
  }
  return sum;
}

/* What all pixels share. */
typedef struct {
  kq_totals totals;
  kq_rows weights;
} kq_shared;

static void compute(const kq_operator *op, const kq_pixel *pixel) {
  const kq_shared *const shared = pixel->shared;
  const kq_rows rows = shared->weights;
  const kq_dot dot = (kq_dot)op->kernel->inner;
  const kq_writer write = pixel->write;
  const kq_walk walk = walk_of(op, pixel);
  const uint32_t channels = op->output->shape[3], value = kq_value_bytes(op->input[KQ_X]->type);
  const int shift = shared->totals.shift;
  for (uint32_t channel = 0; channel < channels; ++channel) {
    const uint8_t *const input = walk.input + kq_group_channel(op, channel) * value;
    const uint8_t *const weights = rows.data + (size_t)channel * rows.bytes;
    const int32_t sum = sum_of(&walk, dot, input, weights, walk.first + channel * rows.values);
    const int64_t total = kq_total(&shared->totals, channel, pixel->first + channel, sum);
    write(pixel->output, pixel->first + channel, kq_requantize(total, shift, op->low.fixed, op->high.fixed));
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_shared shared = {.totals = kq_totals_of(op, arena), .weights = kq_rows_of(op->input[KQ_KERNEL])};
  kq_each_pixel(op, arena, compute, &shared);
}

#define KERNEL(x, weight, type_of_x, type_of_weight)                        \
  const kq_kernel kq_conv_2d_##x##_##weight = {                             \
    .name = "kq_conv_2d_" #x "_" #weight,                                   \
    .kind = KQ_CONV_2D,                                                     \
    .input_type = type_of_x,                                                \
    .weight_type = type_of_weight,                                          \
    .accumulator_bits = 32,                                                 \
    .accepts = kq_has_fixed_output,                                         \
    .run = run,                                                             \
    .inner = (void (*)(void))kq_dot_##x##_##weight,                         \
  };
KQ_DOTS(KERNEL)
