/* Depthwise CONV_2D with a 3x3 window, 8-bit inputs and weights: four channels of the whole map, then the next four. */
#include "kq_arm_rows.h"

enum { TAPS = 9 };

/* Columns of a row: of the zero, of the input, of the zero, as many as the windows meet. */
typedef struct {
  uint32_t left, inside, count;
} columns;

static columns columns_of(const kq_operator *op) {
  const uint32_t width = op->input[KQ_X]->shape[2];
  columns c;
  c.left = op->padding[2];
  c.count = (op->output->shape[2] - 1) * op->strides[1] + KQ_ARM_COLUMNS;
  c.inside = c.count <= c.left ? 0 : c.count - c.left < width ? c.count - c.left : width;
  return c;
}

static size_t scratch_bytes(const kq_operator *op) {
  return sizeof(kq_arm_group) + columns_of(op).count * KQ_ARM_COLUMN_WORDS * sizeof(uint32_t);
}

static bool accepts(const kq_operator *op) {
  return kq_arm_is_depthwise(op) && kq_arm_is_depthwise_3x3(op) && op->output->shape[2] < 1u << 16 && op->strides[1] < 1u << 10 &&
         scratch_bytes(op) <= KQ_ARM_MOST_SCRATCH;
}

static void make_group(const kq_operator *op, uint32_t channel, kq_arm_group *group) {
  const uint8_t *const kernel = op->input[KQ_KERNEL]->data + channel * TAPS;
  uint32_t *w = group->weights;
  for (uint32_t column = 0; column < KQ_ARM_COLUMNS; ++column, w += KQ_ARM_COLUMN_WORDS) {
    for (uint32_t i = 0; i < KQ_ARM_QUAD; ++i) {
      const uint8_t *row = kernel + (i + 1) % KQ_ARM_QUAD * TAPS + column;
      w[i] = kq_arm_pair(kq_load_s8(row), kq_load_s8(row + 3));
    }
    for (uint32_t i = 0; i < 2; ++i) {
      const uint8_t *row = kernel + i * TAPS + 6 + column;
      w[4 + i] = kq_arm_pair(kq_load_s8(row), kq_load_s8(row + 2 * TAPS));
    }
  }
  kq_arm_make_channels(op, channel, KQ_ARM_QUAD, group->channels);
}

/* Where the three rows of a window that begins at input row `first` lie; one that is missing is masked. */
static void look_at(const kq_operator *op, int32_t first, kq_arm_source *source) {
  const uint32_t *shape = op->input[KQ_X]->shape;
  const uint32_t line = shape[2] * shape[3], middle = (uint32_t)(first + 1);
  source->upper = first < 0 ? 0 : UINT32_MAX;
  source->lower = middle + 1 < shape[1] ? UINT32_MAX : 0;
  source->offsets[0] = (first < 0 ? middle : middle - 1) * line;
  source->offsets[1] = middle * line;
  source->offsets[2] = (middle + 1 < shape[1] ? middle + 1 : middle) * line;
}

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_arm_pack pack = (kq_arm_pack)op->kernel->inner;
  const uint32_t *shape = op->output->shape, channels = shape[3];
  const columns c = columns_of(op);
  kq_arm_group *const group = (kq_arm_group *)(void *)(arena + op->scratch);
  uint32_t *const packed = (uint32_t *)(void *)(group + 1), *const inside = packed + c.left * KQ_ARM_COLUMN_WORDS;
  const uint32_t *const end = packed + c.count * KQ_ARM_COLUMN_WORDS, *const inside_end = inside + c.inside * KQ_ARM_COLUMN_WORDS;
  const uint32_t zeros = op->zero * 0x10001u;
  kq_arm_row row = {.weights = group->weights,
                    .channels = group->channels,
                    .next_pixel = channels,
                    .next_input = 4 * KQ_ARM_COLUMN_WORDS * (op->strides[1] - KQ_ARM_COLUMNS)};
  kq_arm_source source = {.next = channels};
  kq_arm_choose_row_finish(&row);
  memset(packed, 0, c.count * KQ_ARM_COLUMN_WORDS * sizeof *packed);
  if (zeros != 0) kq_arm_fill_columns(packed, end, zeros, zeros);
  for (uint32_t channel = 0; channel < channels; channel += KQ_ARM_QUAD) {
    make_group(op, channel, group);
    source.input = kq_input_data(op, KQ_X, arena) + channel;
    row.y = kq_output_data(op, arena) + channel;
    int32_t first = -op->padding[0];
    for (uint32_t i = 0; i < shape[1]; ++i, first += op->strides[0]) {
      look_at(op, first, &source);
      if (c.inside != 0) {
        pack(inside, &source, c.inside);
        if (zeros != 0 && (source.upper & source.lower) != UINT32_MAX) {
          kq_arm_fill_columns(inside, inside_end, zeros & 0xFFFFu & ~source.upper, zeros & ~source.lower);
        }
      }
      row.input = packed;
      row.left = shape[2];
      kq_arm_depthwise_row(&row);
    }
  }
  kq_arm_limit(op, arena);
}

#define KERNEL(x, x_type)                                       \
  const kq_kernel kq_conv_2d_depthwise_3x3_##x##_dsp = {        \
      .name = "kq_conv_2d_depthwise_3x3_" #x "_dsp",            \
      .kind = KQ_CONV_2D,                                       \
      .input_type = x_type,                                     \
      .weight_type = KQ_FIXED8,                                 \
      .accumulator_bits = 32,                                   \
      .accepts = accepts,                                       \
      .scratch_bytes = scratch_bytes,                           \
      .run = run,                                               \
      .inner = (void (*)(void))kq_arm_pack_##x};
KERNEL(s8, KQ_FIXED8)
KERNEL(u8, KQ_UFIXED8)
