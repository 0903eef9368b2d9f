/* Depthwise CONV_2D with any window, 8-bit inputs and weights: four channels of the whole map, then the next four. Taps go in pairs:
 * two words of input, each with a value of four channels, become a word a channel. */
#include "kq_arm_depthwise.h"

enum { MOST_TAPS = 1 << 10 };

static uint32_t pairs_of(const kq_operator *op) { return ((uint32_t)op->window[0] * op->window[1] + 1) / 2; }

/* Scratch: the finish of all channels; of four, a word for each pair of taps and channel; offsets of the taps from the first, and
 * those of a window that does not lie inside, where a missing tap is at a word of zeros. */
static size_t scratch_bytes(const kq_operator *op) {
  const uint32_t pairs = pairs_of(op);
  return op->output->shape[3] * sizeof(kq_arm_channel) + pairs * (KQ_ARM_QUAD + 2 + 2) * sizeof(uint32_t) + sizeof(uint32_t);
}

static bool accepts(const kq_operator *op) {
  return kq_arm_is_depthwise(op) && !kq_arm_is_depthwise_3x3(op) && op->window[0] <= MOST_TAPS && op->window[1] <= MOST_TAPS &&
         pairs_of(op) <= MOST_TAPS && scratch_bytes(op) <= KQ_ARM_MOST_SCRATCH;
}

typedef struct {
  const kq_operator *op;
  const uint8_t *arena;
  uint32_t pairs;
  bool is_signed;
  uint32_t *weights;
  uint32_t *inside; /* offsets of a window's taps from its first */
  uint32_t *edge;   /* offsets in the arena */
  uint32_t zero;    /* offset of a word of zeros in the arena */
} depthwise;

static uint32_t tap_offset(const kq_operator *op, uint32_t row, uint32_t column) {
  const uint32_t *shape = op->input[KQ_X]->shape;
  return (row * op->dilations[0] * shape[2] + column * op->dilations[1]) * shape[3];
}

static void make_weights(const depthwise *d, uint32_t channel) {
  for (uint32_t pair = 0; pair < d->pairs; ++pair) {
    for (uint32_t i = 0; i < KQ_ARM_QUAD; ++i) {
      d->weights[pair * KQ_ARM_QUAD + i] =
          kq_arm_pair(kq_arm_tap(d->op, channel + i, 2 * pair), kq_arm_tap(d->op, channel + i, 2 * pair + 1));
    }
  }
}

/* Offsets of the taps of a window that lies inside, from its first; a last tap without a pair has a weight of 0. */
static void make_offsets(const depthwise *d) {
  uint32_t *to = d->inside;
  d->inside[2 * d->pairs - 1] = 0;
  for (uint32_t row = 0; row < d->op->window[0]; ++row) {
    for (uint32_t column = 0; column < d->op->window[1]; ++column) *to++ = tap_offset(d->op, row, column);
  }
}

/* Offsets in the arena of the taps of any window, for the four channels that begin at offset `input`. */
static void look_at_edge(const depthwise *d, kq_arm_origin at, uint32_t input) {
  const uint32_t *shape = d->op->input[KQ_X]->shape;
  uint32_t *to = d->edge;
  d->edge[2 * d->pairs - 1] = d->zero;
  for (uint32_t row = 0; row < d->op->window[0]; ++row) {
    const uint32_t y = (uint32_t)at.row + row * d->op->dilations[0];
    for (uint32_t column = 0; column < d->op->window[1]; ++column) {
      const uint32_t x = (uint32_t)at.column + column * d->op->dilations[1];
      *to++ = y < shape[1] && x < shape[2] ? input + (y * shape[2] + x) * shape[3] : d->zero;
    }
  }
}

static inline void sum_pairs(const uint8_t *base, const uint32_t *offset, const uint32_t *weights, uint32_t pairs, bool is_signed,
                             int32_t sums[KQ_ARM_QUAD]) {
  int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  for (const uint32_t *const end = offset + 2 * pairs; offset != end; offset += 2, weights += KQ_ARM_QUAD) {
    const uint32_t a = kq_load_word(base + offset[0]), b = kq_load_word(base + offset[1]);
    const uint32_t a_even = kq_even_bytes(a, is_signed), b_even = kq_even_bytes(b, is_signed);
    const uint32_t a_odd = kq_odd_bytes(a, is_signed), b_odd = kq_odd_bytes(b, is_signed);
    s0 = kq_smlad(kq_low_halves(a_even, b_even), weights[0], s0);
    s1 = kq_smlad(kq_low_halves(a_odd, b_odd), weights[1], s1);
    s2 = kq_smlad(kq_high_halves(a_even, b_even), weights[2], s2);
    s3 = kq_smlad(kq_high_halves(a_odd, b_odd), weights[3], s3);
  }
  sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

static void sum(const depthwise *d, const uint8_t *base, const uint32_t *offsets, int32_t sums[KQ_ARM_QUAD]) {
  if (d->is_signed) {
    sum_pairs(base, offsets, d->weights, d->pairs, true, sums);
  } else {
    sum_pairs(base, offsets, d->weights, d->pairs, false, sums);
  }
}

/* Four channels of the whole map. */
static void run_quad(const depthwise *d, const kq_arm_channel *channels, uint32_t channel, uint8_t *y) {
  const kq_operator *op = d->op;
  const uint32_t *shape = op->input[KQ_X]->shape, input = op->input[KQ_X]->offset + channel;
  const uint32_t pixels = op->output->elements / op->output->shape[3];
  kq_arm_cursor cursor = kq_arm_first_origin(op);
  make_weights(d, channel);
  for (uint32_t pixel = 0; pixel < pixels; ++pixel, y += op->output->shape[3]) {
    kq_arm_origin at;
    int32_t sums[KQ_ARM_QUAD];
    if (kq_arm_next_origins(op, &cursor, 1, &at, 1)) {
      sum(d, d->arena + input + ((uint32_t)at.row * shape[2] + (uint32_t)at.column) * shape[3], d->inside, sums);
    } else {
      look_at_edge(d, at, input);
      sum(d, d->arena, d->edge, sums);
    }
    kq_store_word(y, kq_arm_finish_quad(op, channels + channel, sums));
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  kq_arm_channel *const channels = (kq_arm_channel *)(void *)(arena + op->scratch);
  const uint32_t count = op->output->shape[3], pairs = pairs_of(op);
  uint32_t *const weights = (uint32_t *)(void *)(channels + count), *const inside = weights + pairs * KQ_ARM_QUAD;
  uint32_t *const zero = inside + 4 * pairs;
  const depthwise d = {.op = op,
                       .arena = arena,
                       .pairs = pairs,
                       .is_signed = op->input[KQ_X]->type == KQ_FIXED8,
                       .weights = weights,
                       .inside = inside,
                       .edge = inside + 2 * pairs,
                       .zero = (uint32_t)((uint8_t *)zero - arena)};
  *zero = 0;
  make_offsets(&d);
  kq_arm_make_channels(op, channels);
  for (uint32_t channel = 0; channel < count; channel += KQ_ARM_QUAD) {
    run_quad(&d, channels, channel, kq_output_data(op, arena) + channel);
  }
}

static bool accepts_8_bits(const kq_operator *op) { return kq_bits(op->input[KQ_X]->type) == 8 && accepts(op); }

const kq_kernel kq_conv_2d_depthwise_dsp = {.name = "kq_conv_2d_depthwise_dsp",
                                            .kind = KQ_CONV_2D,
                                            .input_type = KQ_ANY,
                                            .weight_type = KQ_FIXED8,
                                            .accumulator_bits = 32,
                                            .accepts = accepts_8_bits,
                                            .scratch_bytes = scratch_bytes,
                                            .run = run};
