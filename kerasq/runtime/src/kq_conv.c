#include "kq_conv.h"

#include "kq_dot.h"

/* What all output channels of a pixel share: blocks of rows of products. */
typedef struct {
  const uint8_t *input;          /* under the first valid tap */
  uint32_t first;                /* number of its first weight in an output channel */
  uint32_t blocks, channels;     /* channels: of a group, from one block's weights to the next's */
  size_t next_block, next_group; /* bytes of input */
  kq_strips strips;              /* of a block */
} kq_walk;

/* Inputs under neighbouring taps of a row, all channels, lie side by side, and so do their weights: a row of products, and all rows
 * are one block. So are those of a group of one channel, whose inputs are a pixel apart, where weights have whole bytes. Else, with
 * dilations or groups, each column of taps is a block, in which each tap is a row. */
static kq_walk walk_of(const kq_operator *op, const kq_pixel *pixel) {
  const kq_tensor *x = op->input[KQ_X], *kernel = op->input[KQ_KERNEL];
  const uint32_t taps = kernel->shape[2], channels = kernel->shape[3];
  const size_t value = kq_value_bytes(x->type), place = x->shape[3] * value, line = x->shape[2] * place;
  const kq_span rows = pixel->rows, columns = pixel->columns;
  kq_walk walk = {.input = pixel->input};
  if (rows.begin >= rows.end || columns.begin >= columns.end) return walk; /* dilated taps may all miss the input */
  walk.input += kq_tap(op, 0, rows, rows.begin) * line + kq_tap(op, 1, columns, columns.begin) * place;
  walk.first = (rows.begin * taps + columns.begin) * channels;
  walk.blocks = 1;
  walk.channels = channels;
  walk.next_block = op->dilations[1] * place;
  walk.next_group = channels * value;
  walk.strips.rows = rows.end - rows.begin;
  walk.strips.count = (columns.end - columns.begin) * channels;
  walk.strips.weights_of_row = taps * channels;
  walk.strips.step = value;
  walk.strips.next_row = op->dilations[0] * line;
  if (op->groups != 1 || op->dilations[1] != 1) {
    if (channels == 1 && kq_bits(kernel->type) >= 8) {
      walk.strips.step = walk.next_block;
    } else {
      walk.blocks = columns.end - columns.begin;
      walk.strips.count = channels;
    }
  }
  return walk;
}

static int32_t sum_of(const kq_walk *walk, kq_dot dot, const uint8_t *weights, uint32_t first) {
  const uint8_t *input = walk->input;
  int32_t sum = 0;
  for (uint32_t block = 0; block < walk->blocks; ++block) {
    sum += dot(&walk->strips, input, weights, first);
    input += walk->next_block;
    first += walk->channels;
  }
  return sum;
}

/* What all pixels share. */
typedef struct {
  kq_finish finish;
  kq_rows weights;
} kq_shared;

static void compute(const kq_operator *op, const kq_pixel *pixel) {
  const kq_shared *const shared = pixel->shared;
  const kq_rows rows = shared->weights;
  const kq_dot dot = (kq_dot)op->kernel->inner;
  const uint32_t channels = op->output->shape[3];
  const bool has_absent = kq_has_absent(op, pixel);
  kq_walk walk = walk_of(op, pixel);
  uint32_t done = 0; /* channels of the group times the number of groups: as many as there are channels, when all are */
  for (uint32_t channel = 0; channel < channels; ++channel) {
    const uint8_t *const weights = rows.data + (size_t)channel * rows.bytes;
    int32_t sum = sum_of(&walk, dot, weights, walk.first + channel * rows.values);
    if (has_absent) sum += (int32_t)kq_absent_sum(op, pixel, &rows, channel);
    kq_put_sum(&shared->finish, channel, pixel->first + channel, sum);
    done += op->groups;
    if (done == channels) {
      done = 0;
      walk.input += walk.next_group;
    }
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  kq_shared shared = {.weights = kq_rows_of(op->input[KQ_KERNEL])};
  kq_set_finish(&shared.finish, op, arena);
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
