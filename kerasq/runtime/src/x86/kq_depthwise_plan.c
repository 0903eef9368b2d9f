/* What a depthwise convolution of bytes is made of: see kq_depthwise.h. Runs when a model is prepared. */
#include "kq_depthwise.h"

enum { MOST_TOGETHER = 5, BATCH_BYTES = 1 << 14 }; /* blocks that several pixels may take together; bytes of planes */

kq_depthwise_shape kq_depthwise_shape_of(const kq_operator *op) {
  const uint32_t *x = op->input[KQ_X]->shape, *y = op->output->shape, *w = op->input[KQ_KERNEL]->shape;
  const bool turned = x[2] == 1 && w[2] == 1 && y[2] == 1; /* one column */
  const int down = turned ? 1 : 0, right = turned ? 0 : 1;
  kq_depthwise_shape s = {
      .rows = x[1 + down],
      .columns = x[1 + right],
      .channels = x[3],
      .out_rows = y[1 + down],
      .out_columns = y[1 + right],
      .taps = {w[1 + down], w[1 + right]},
      .stride = {op->strides[down], op->strides[right]},
      .dilation = {op->dilations[down], op->dilations[right]},
      .top = op->padding[2 * down],
      .left = op->padding[2 * right],
  };
  s.horizontal = s.taps[0] == 1;
  const uint32_t steps = s.horizontal ? (s.taps[1] + 3) / 4 * 4 - 3 : s.taps[1]; /* columns up to the last step's */
  const uint32_t needed = (s.out_columns - 1) * s.stride[1] + (steps - 1) * s.dilation[1] + 1;
  s.staged_columns = needed > s.left + s.columns ? needed : s.left + s.columns;
  return s;
}

static uint32_t planes_of(const kq_depthwise_shape *s) { return s->horizontal ? 1 : (s->taps[0] + 3) / 4; }

static uint32_t steps_of(const kq_depthwise_shape *s) {
  return s->horizontal ? (s->taps[1] + 3) / 4 : planes_of(s) * s->taps[1];
}

/* Pixels that are taken as one. */
static uint32_t together(const kq_depthwise_shape *s) {
  uint32_t common = KQ_LANES; /* divisor of channels and lanes */
  while (s->channels % common != 0) common /= 2;
  const uint32_t pixels = KQ_LANES / common, blocks = s->channels / common;
  return s->stride[1] == 1 && pixels > 1 && blocks <= MOST_TOGETHER ? pixels : 1;
}

/* Blocks as they are computed, and as the channels fill them. */
static uint32_t blocks_of(const kq_depthwise_shape *s) { return (together(s) * s->channels + KQ_LANES - 1) / KQ_LANES; }

static uint32_t real_blocks_of(const kq_depthwise_shape *s) { return (s->channels + KQ_LANES - 1) / KQ_LANES; }

static uint32_t pixels_of(const kq_depthwise_shape *s) { return (s->out_columns + together(s) - 1) / together(s); }

/* Rows of a batch: as many as there are pixels for, and as stay in the first-level cache. */
static uint32_t batch_rows(const kq_depthwise_shape *s) {
  const size_t bytes = planes_of(s) * kq_plane_bytes(s);
  uint32_t rows = KQ_DEPTHWISE_PIXELS / pixels_of(s);
  if (rows > BATCH_BYTES / bytes) rows = (uint32_t)(BATCH_BYTES / bytes);
  if (rows > s->out_rows) rows = s->out_rows;
  return rows == 0 ? 1 : rows;
}

static size_t scratch_bytes(const kq_depthwise_shape *s) {
  const size_t rows = batch_rows(s);
  return 64 + rows * planes_of(s) * kq_plane_bytes(s) + kq_spare_row_bytes(s) + /* 64: the planes begin a cache line */
         kq_aligned(rows * s->out_columns * s->channels + KQ_DEPTHWISE_SLACK);
}

size_t kq_depthwise_scratch_bytes(const kq_operator *op) {
  const kq_depthwise_shape s = kq_depthwise_shape_of(op);
  return scratch_bytes(&s);
}

bool kq_depthwise_bytes_accepts(const kq_operator *op) {
  if (!kq_is_depthwise(op) || !op->is_integer || op->accumulator_bits != 32 || op->input[KQ_ADDEND] != NULL) return false;
  if (kq_value_bytes(op->input[KQ_X]->type) != 1 || kq_value_bytes(op->output->type) != 1) return false;
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const kq_depthwise_shape s = kq_depthwise_shape_of(op);
  const uint64_t values = (uint64_t)op->input[KQ_X]->elements + op->output->elements + kernel->elements;
  const uint64_t columns = (uint64_t)s.staged_columns + 4 * (uint64_t)s.dilation[1];
  return kernel->type != KQ_FIXED16 && kernel->type != KQ_FIXED32 && steps_of(&s) <= UINT16_MAX &&
         (4 * (uint64_t)planes_of(&s) + 1) * columns * s.channels <= 16 * values + (1u << 16) && values < (1u << 24);
}

/* ---- Steps ---- */

typedef struct {
  size_t block, sum, magnitude, narrow, step, weights, end;
} layout;

static layout lay_out(const kq_depthwise_shape *s) {
  const size_t blocks = blocks_of(s), real = real_blocks_of(s), steps = steps_of(s);
  layout l;
  l.block = kq_aligned(sizeof(kq_depthwise_steps));
  l.sum = l.block + real * sizeof(kq_block);
  l.magnitude = l.sum + real * KQ_LANES * sizeof(int32_t);
  l.narrow = l.magnitude + real * KQ_LANES * sizeof(uint16_t);
  l.step = l.narrow + blocks * sizeof(uint16_t);
  l.weights = kq_aligned(l.step + blocks * steps * sizeof(uint16_t));
  l.end = l.weights + blocks * steps * KQ_STEP_BYTES;
  return l;
}

/* Weights of a channel's taps in the four slots of a step; those of three taps so that both pairs fit if they can. */
static void fill_slots(const kq_rows *rows, const kq_depthwise_shape *s, uint32_t channel, uint32_t step, int32_t slot[4]) {
  const uint32_t plane = s->horizontal ? step : step / s->taps[1], column = s->horizontal ? 0 : step % s->taps[1];
  const uint32_t taps = kq_plane_taps(s, plane);
  int32_t w[4] = {0, 0, 0, 0};
  for (uint32_t i = 0; i < taps; ++i) {
    const uint32_t tap = 4 * plane + i;
    w[i] = kq_weight(rows, channel, s->horizontal ? tap : tap * s->taps[1] + column);
  }
  memcpy(slot, w, sizeof w);
  const uint32_t shape_taps = kq_plane_taps(s, s->horizontal ? 0 : plane); /* the slots are those of the plane */
  if (shape_taps == 2) {
    slot[1] = 0;
    slot[2] = w[1];
  } else if (shape_taps == 3) {
    const int32_t above = KQ_LARGEST_PAIR - (w[0] > 0 ? w[0] : 0), below = -KQ_LARGEST_PAIR - (w[0] < 0 ? w[0] : 0);
    slot[1] = w[1] > above ? above : w[1] < below ? below : w[1];
    slot[3] = w[1] - slot[1];
  }
}

static void fill_step(const kq_operator *op, const kq_depthwise_shape *s, uint32_t block, uint32_t step, uint8_t *weights) {
  const kq_rows rows = kq_rows_of(op->input[KQ_KERNEL]);
  memset(weights, 0, KQ_STEP_BYTES);
  for (uint32_t lane = 0; lane < KQ_LANES; ++lane) {
    const uint32_t i = block * KQ_LANES + lane;
    int32_t slot[4];
    if (i >= together(s) * s->channels) return;
    fill_slots(&rows, s, i % s->channels, step, slot);
    for (int k = 0; k < 4; ++k) weights[4 * lane + (uint32_t)k] = (uint8_t)slot[k];
  }
}

/* A block's steps, the narrow ones first; returns their number. */
static uint16_t fill_block(const kq_operator *op, const kq_depthwise_shape *s, uint32_t block, uint8_t *weights,
                           uint16_t *order) {
  const uint32_t steps = steps_of(s);
  uint32_t narrow = 0, wide = steps;
  for (uint32_t step = 0; step < steps; ++step) {
    uint8_t bytes[KQ_STEP_BYTES];
    fill_step(op, s, block, step, bytes);
    const uint32_t number = kq_is_wide_step(bytes) ? --wide : narrow++;
    memcpy(weights + (size_t)number * KQ_STEP_BYTES, bytes, sizeof bytes);
    order[number] = (uint16_t)step;
  }
  return (uint16_t)narrow;
}

static void pack_steps(const kq_operator *op, const void *constants, void *memory) {
  const kq_depthwise_shape s = kq_depthwise_shape_of(op);
  const layout l = lay_out(&s);
  const uint32_t blocks = blocks_of(&s), real = real_blocks_of(&s), steps = steps_of(&s);
  uint8_t *base = memory;
  (void)constants;
  memset(base, 0, l.end);
  kq_block *block = (kq_block *)(void *)(base + l.block);
  int32_t *sum = (int32_t *)(void *)(base + l.sum);
  uint16_t *magnitude = (uint16_t *)(void *)(base + l.magnitude);
  uint16_t *narrow = (uint16_t *)(void *)(base + l.narrow), *step = (uint16_t *)(void *)(base + l.step);
  for (uint32_t i = 0; i < real; ++i) {
    const uint32_t left = s.channels - i * KQ_LANES;
    block[i] = (kq_block){.first_channel = i * KQ_LANES, .channels = (uint16_t)kq_least(left, KQ_LANES)};
    kq_fill_sums(op, &block[i], sum + (size_t)i * KQ_LANES, magnitude + (size_t)i * KQ_LANES);
  }
  for (uint32_t i = 0; i < blocks; ++i) {
    narrow[i] = fill_block(op, &s, i, base + l.weights + (size_t)i * steps * KQ_STEP_BYTES, step + (size_t)i * steps);
  }
  *(kq_depthwise_steps *)memory = (kq_depthwise_steps){
      .real = {.blocks = real, .block = block, .sum = sum, .magnitude = magnitude},
      .weights = base + l.weights,
      .narrow = narrow,
      .step = step,
  };
}

static size_t steps_bytes(const kq_operator *op) {
  const kq_depthwise_shape s = kq_depthwise_shape_of(op);
  return lay_out(&s).end;
}

/* The same kernel has as many channels and taps; whether pixels are taken together may differ, and what is a row. */
static bool serves_steps(const kq_operator *owner, const kq_operator *op) {
  const kq_depthwise_shape a = kq_depthwise_shape_of(owner), b = kq_depthwise_shape_of(op);
  return together(&a) == together(&b) && a.horizontal == b.horizontal;
}

static const kq_part steps_part = {
    .bytes = steps_bytes, .serves = serves_steps, .pack = pack_steps};

/* ---- The plan ---- */

/* At least as many as there are channels. */
static size_t lanes_of(const kq_depthwise_shape *s) { return (size_t)blocks_of(s) * KQ_LANES; }

static size_t plan_bytes(const kq_operator *op) {
  const kq_depthwise_shape s = kq_depthwise_shape_of(op);
  return kq_aligned(sizeof(kq_depthwise)) + lanes_of(&s) * (2 * sizeof(int32_t) + sizeof(int64_t)) +
         kq_aligned((size_t)blocks_of(&s) * steps_of(&s) * sizeof(int32_t));
}

/* Constants of lane i are those of channel i; lanes beyond the channels repeat them. */
static void repeat(int32_t *constant, uint32_t channels, uint32_t lanes) {
  for (uint32_t i = channels; i < lanes; ++i) constant[i] = constant[i - channels];
}

/* Whether outputs are made of the inputs in their places. */
static bool is_pointwise(const kq_operator *op, const kq_depthwise_shape *s) {
  return s->taps[0] == 1 && s->taps[1] == 1 && op->input[KQ_X]->bytes == op->output->bytes && s->top == 0 && s->left == 0 &&
         s->rows == s->out_rows;
}

static void fill_places(const kq_depthwise_shape *s, const kq_depthwise_steps *steps, uint32_t lane_bytes, int32_t *place) {
  const uint32_t count = steps_of(s);
  for (uint32_t i = 0; i < blocks_of(s) * count; ++i) {
    const uint32_t step = steps->step[i], plane = s->horizontal ? 0 : step / s->taps[1];
    const uint32_t column = (s->horizontal ? 4 * step : step % s->taps[1]) * s->dilation[1];
    place[i] = (int32_t)(plane * kq_plane_bytes(s) + lane_bytes * ((size_t)column * s->channels + i / count * KQ_LANES));
  }
}

static void pack_plan(const kq_operator *op, const void *constants, void *memory) {
  const kq_depthwise_steps *steps = constants;
  const kq_depthwise_shape s = kq_depthwise_shape_of(op);
  const uint32_t pixels = together(&s), lanes = (uint32_t)lanes_of(&s);
  memset(memory, 0, plan_bytes(op));
  kq_depthwise *plan = memory;
  kq_gemm *gemm = &plan->gemm;
  int32_t *start = (int32_t *)(void *)((uint8_t *)memory + kq_aligned(sizeof *plan)), *factor = start + (size_t)lanes;
  int32_t *offset = factor + (size_t)lanes, *place = offset + 2 * (size_t)lanes;
  *gemm = (kq_gemm){
      .shared = {.constants = constants},
      .step_type = KQ_STEP_U8,
      .finish = kq_choose_finish(op, &steps->real),
      .has_factor = op->input[KQ_MULTIPLIER] != NULL,
      .blocks = steps->real.blocks,
      .block = steps->real.block,
      .start = start,
      .factor = factor,
      .offset = (const int64_t *)(const void *)offset,
  };
  kq_fill_finish(op, gemm, &steps->real);
  repeat(start, s.channels, lanes);
  repeat(factor, s.channels, lanes);
  if (gemm->finish == KQ_FINISH_FMA) repeat(offset, s.channels, lanes);
  plan->pointwise = is_pointwise(op, &s);
  const uint32_t lane_bytes = plan->pointwise ? 1 : 4;
  fill_places(&s, steps, lane_bytes, place);
  plan->blocks = blocks_of(&s);
  plan->steps = steps_of(&s);
  plan->planes = planes_of(&s);
  plan->pixels = pixels_of(&s);
  plan->rows = batch_rows(&s);
  plan->pixel_outputs = pixels * s.channels;
  plan->pixel_bytes = lane_bytes * pixels * s.channels * s.stride[1];
  plan->row_outputs = s.out_columns * s.channels;
  plan->direct = s.channels % KQ_LANES == 0 && !kq_share_bytes(op->input[KQ_X], op->output);
  plan->weights = steps->weights;
  plan->narrow = steps->narrow;
  plan->place = place;
}

static bool serves_plan(const kq_operator *owner, const kq_operator *op) {
  return kq_has_format_of(owner->input[KQ_X], op->input[KQ_X]) && kq_has_shape_of(owner->input[KQ_X], op->input[KQ_X]) &&
         owner->input[KQ_MULTIPLIER] == op->input[KQ_MULTIPLIER] && owner->input[KQ_BIAS] == op->input[KQ_BIAS] &&
         kq_has_format_of(owner->output, op->output) && kq_has_shape_of(owner->output, op->output) &&
         owner->total_bits == op->total_bits && memcmp(owner->strides, op->strides, sizeof op->strides) == 0 &&
         memcmp(owner->dilations, op->dilations, sizeof op->dilations) == 0 &&
         memcmp(owner->padding, op->padding, sizeof op->padding) == 0 &&
         kq_share_bytes(owner->input[KQ_X], owner->output) == kq_share_bytes(op->input[KQ_X], op->output);
}

static const kq_part plan_part = {.bytes = plan_bytes, .serves = serves_plan, .pack = pack_plan};

const kq_packing kq_depthwise_packing = {
    .reserve = kq_reserve, .fill = kq_fill, .constants = &steps_part, .finish = &plan_part};
