/* Depthwise CONV_2D with any window, 8-bit inputs and weights: four channels of the whole map, then the next four. Taps go in pairs:
 * two words of input, each with a value of four channels, become a word a channel. */
#include "kq_arm_rows.h"

enum { MOST_TAPS = 1 << 10 };

typedef void (*row_function)(kq_arm_row *row);

static uint32_t pairs_of(const kq_operator *op) { return ((uint32_t)op->window[0] * op->window[1] + 1) / 2; }

/* Scratch: a word of weights for each pair of taps and each of four channels, and how these are finished; offsets of the taps from the
 * first, and those of a window that does not lie inside, where a missing tap is at a word of the operator's zero. */
static size_t scratch_bytes(const kq_operator *op) {
  return KQ_ARM_QUAD * sizeof(kq_arm_channel) + pairs_of(op) * (KQ_ARM_QUAD + 2 + 2) * sizeof(uint32_t) + sizeof(uint32_t);
}

static bool accepts(const kq_operator *op) {
  return kq_arm_is_depthwise(op) && !kq_arm_is_depthwise_3x3(op) && op->window[0] <= MOST_TAPS && op->window[1] <= MOST_TAPS &&
         pairs_of(op) <= MOST_TAPS && scratch_bytes(op) <= KQ_ARM_MOST_SCRATCH;
}

typedef struct {
  const kq_operator *op;
  const uint8_t *arena;
  row_function run_row;
  uint32_t pairs;
  uint32_t *weights;
  kq_arm_channel *channels;
  uint32_t *inside; /* offsets of a window's taps from its first */
  uint32_t *edge;   /* offsets in the arena */
  uint32_t zero;    /* offset in the arena of a word of the operator's zero */
} depthwise;

static void make_weights(const depthwise *d, uint32_t channel) {
  const uint32_t taps = (uint32_t)d->op->window[0] * d->op->window[1];
  const uint8_t *row = d->op->input[KQ_KERNEL]->data + channel * taps;
  for (uint32_t i = 0; i < KQ_ARM_QUAD; ++i, row += taps) {
    uint32_t *to = d->weights + i;
    for (uint32_t tap = 0; tap < taps; tap += 2, to += KQ_ARM_QUAD) {
      *to = kq_arm_pair(kq_load_s8(row + tap), tap + 1 < taps ? kq_load_s8(row + tap + 1) : 0);
    }
  }
  kq_arm_make_channels(d->op, channel, KQ_ARM_QUAD, d->channels);
}

/* Offsets of the taps of a window that lies inside, from its first; a last tap without a pair has a weight of 0. */
static void make_offsets(const depthwise *d) {
  const kq_operator *op = d->op;
  const uint32_t *shape = op->input[KQ_X]->shape;
  uint32_t *to = d->inside;
  d->inside[2 * d->pairs - 1] = 0;
  for (uint32_t row = 0; row < op->window[0]; ++row) {
    for (uint32_t column = 0; column < op->window[1]; ++column) {
      *to++ = (row * op->dilations[0] * shape[2] + column * op->dilations[1]) * shape[3];
    }
  }
}

/* Offsets in the arena of the taps of any window, for the four channels that begin at offset `input`. */
static void look_at_edge(const depthwise *d, int32_t first_row, int32_t first_column, uint32_t input) {
  const uint32_t *shape = d->op->input[KQ_X]->shape;
  uint32_t *to = d->edge;
  d->edge[2 * d->pairs - 1] = d->zero;
  for (uint32_t row = 0; row < d->op->window[0]; ++row) {
    const uint32_t y = (uint32_t)first_row + row * d->op->dilations[0];
    for (uint32_t column = 0; column < d->op->window[1]; ++column) {
      const uint32_t x = (uint32_t)first_column + column * d->op->dilations[1];
      *to++ = y < shape[1] && x < shape[2] ? input + (y * shape[2] + x) * shape[3] : d->zero;
    }
  }
}

/* Output positions along an axis whose windows lie inside the input: first .. end - 1. */
typedef struct {
  uint32_t first, end;
} range;

static range inside_of(const kq_operator *op, unsigned axis) {
  const int32_t stride = op->strides[axis], padding = op->padding[2 * axis], count = (int32_t)op->output->shape[1 + axis];
  const int32_t room = (int32_t)op->input[KQ_X]->shape[1 + axis] - 1 - (op->window[axis] - 1) * op->dilations[axis] + padding;
  const int32_t first = (padding + stride - 1) / stride, end = room < 0 ? 0 : room / stride + 1;
  range r = {(uint32_t)(first < count ? first : count), (uint32_t)(end < count ? end : count)};
  if (r.end < r.first) r.end = r.first;
  return r;
}

/* Four channels of a row of outputs: windows at the left edge one by one, those inside at once, those at the right edge. */
static void run_row(const depthwise *d, kq_arm_row *row, uint32_t number, range columns, uint32_t input) {
  const kq_operator *op = d->op;
  const uint32_t *shape = op->input[KQ_X]->shape, count = op->output->shape[2];
  const int32_t first_row = (int32_t)number * op->strides[0] - op->padding[0];
  for (uint32_t column = 0; column < count;) {
    const int32_t first_column = (int32_t)column * op->strides[1] - op->padding[2];
    if (column == columns.first && columns.first < columns.end) {
      row->input = d->arena + input + ((uint32_t)first_row * shape[2] + (uint32_t)first_column) * shape[3];
      row->offsets = d->inside;
      row->left = columns.end - columns.first;
    } else {
      look_at_edge(d, first_row, first_column, input);
      row->input = d->arena;
      row->offsets = d->edge;
      row->left = 1;
    }
    column += row->left;
    row->offsets_end = row->offsets + 2 * d->pairs;
    d->run_row(row);
  }
}

/* A map of one column, as of a sequence: all rows whose windows lie inside at once. */
static void run_inside(const depthwise *d, kq_arm_row *row, range rows, uint32_t input) {
  const kq_operator *op = d->op;
  const uint32_t line = op->input[KQ_X]->shape[2] * op->input[KQ_X]->shape[3];
  const int32_t next_input = row->next_input;
  row->input = d->arena + input + (rows.first * op->strides[0] - op->padding[0]) * line;
  row->next_input = (int32_t)(op->strides[0] * line);
  row->offsets = d->inside;
  row->offsets_end = row->offsets + 2 * d->pairs;
  row->left = rows.end - rows.first;
  d->run_row(row);
  row->next_input = next_input;
}

static void run(const kq_operator *op, uint8_t *arena) {
  const uint32_t pairs = pairs_of(op), channels = op->output->shape[3];
  uint32_t *const weights = (uint32_t *)(void *)(arena + op->scratch);
  kq_arm_channel *const finish = (kq_arm_channel *)(void *)(weights + pairs * KQ_ARM_QUAD);
  uint32_t *const inside = (uint32_t *)(void *)(finish + KQ_ARM_QUAD), *const zero = inside + 4 * pairs;
  const depthwise d = {.op = op,
                       .arena = arena,
                       .run_row = (row_function)op->kernel->inner,
                       .pairs = pairs,
                       .weights = weights,
                       .channels = finish,
                       .inside = inside,
                       .edge = inside + 2 * pairs,
                       .zero = (uint32_t)((uint8_t *)zero - arena)};
  const range rows = inside_of(op, 0), columns = inside_of(op, 1), none = {0, 0};
  const bool is_column = op->output->shape[2] == 1 && columns.first < columns.end && rows.first < rows.end;
  kq_arm_row row = {.weights = weights, .channels = finish, .next_pixel = channels, .next_input = (int32_t)(op->strides[1] * channels)};
  kq_arm_choose_row_finish(&row);
  *zero = op->zero * 0x01010101u;
  make_offsets(&d);
  for (uint32_t channel = 0; channel < channels; channel += KQ_ARM_QUAD) {
    make_weights(&d, channel);
    row.y = kq_output_data(op, arena) + channel;
    for (uint32_t i = 0; i < op->output->shape[1]; ++i) {
      if (i == rows.first && is_column) {
        run_inside(&d, &row, rows, op->input[KQ_X]->offset + channel);
        i = rows.end - 1;
        continue;
      }
      run_row(&d, &row, i, i >= rows.first && i < rows.end ? columns : none, op->input[KQ_X]->offset + channel);
    }
  }
  kq_arm_limit(op, arena);
}

#define KERNEL(x, x_type)                                       \
  const kq_kernel kq_conv_2d_depthwise_##x##_dsp = {            \
      .name = "kq_conv_2d_depthwise_" #x "_dsp",                \
      .kind = KQ_CONV_2D,                                       \
      .input_type = x_type,                                     \
      .weight_type = KQ_FIXED8,                                 \
      .accumulator_bits = 32,                                   \
      .accepts = accepts,                                       \
      .scratch_bytes = scratch_bytes,                           \
      .run = run,                                               \
      .inner = (void (*)(void))kq_arm_pairs_row_##x};
KERNEL(s8, KQ_FIXED8)
KERNEL(u8, KQ_UFIXED8)
