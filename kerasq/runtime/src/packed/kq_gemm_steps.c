/* Which steps a convolution takes: see kq_gemm.h. Runs once for each kernel, when a model is prepared. */
#include "kq_gemm.h"

#include "../kq_float.h"


bool kq_is_depthwise(const kq_operator *op) {
  const uint32_t *shape = op->input[KQ_KERNEL]->shape;
  return !kq_is_dense(op) && op->groups > 1 && shape[3] == 1 && shape[0] == op->groups;
}

bool kq_is_wide(const kq_operator *op) { return op->is_integer && op->accumulator_bits == 64; }

uint32_t kq_halves(const kq_operator *op) { return kq_is_wide(op) && op->input[KQ_KERNEL]->type == KQ_FIXED16 ? 2 : 1; }

kq_step_type kq_step_type_of(const kq_operator *op) {
  if (kq_is_depthwise(op)) return op->is_integer ? KQ_STEP_DEPTHWISE : KQ_STEP_DEPTHWISE_F32;
  if (!op->is_integer) return KQ_STEP_F32;
  const bool words = kq_value_bytes(op->input[KQ_X]->type) == 2 || op->input[KQ_KERNEL]->type == KQ_FIXED16;
  return words || kq_is_wide(op) ? KQ_STEP_S16 : KQ_STEP_U8;
}

uint32_t kq_step_value_bytes(kq_step_type type) {
  static const uint8_t bytes[] = {1, 2, 4, 2, 4}; /* by kq_step_type */
  return bytes[type];
}

kq_image kq_image_of(const kq_operator *op) {
  const kq_tensor *x = op->input[KQ_X];
  kq_image in = {.rows = 1, .columns = 1, .channels = x->elements};
  if (kq_is_dense(op)) return in;
  in.rows = x->shape[1];
  in.columns = x->shape[2];
  in.channels = x->shape[3];
  for (int i = 0; i < 4; ++i) in.padding[i] = op->padding[i];
  return in;
}

/* Inputs that lie side by side and are multiplied one after the other: one run of steps. */
typedef struct {
  uint32_t runs, run_values; /* of one output channel */
  uint32_t groups, group_channels, group_outputs, group_blocks;
  bool joined; /* a run is a whole row of taps, else one tap */
} shape;

static shape shape_of(const kq_operator *op) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  shape s = {
      .runs = 1,
      .run_values = kernel->shape[1],
      .groups = 1,
      .group_channels = kernel->shape[1],
      .group_outputs = kernel->shape[0],
      .joined = true,
  };
  if (kq_is_depthwise(op)) { /* all channels as one group; a run is all taps */
    s.run_values = kernel->shape[1] * kernel->shape[2];
  } else if (!kq_is_dense(op)) {
    s.groups = op->groups;
    s.group_channels = kernel->shape[3];
    s.group_outputs = kernel->shape[0] / op->groups;
    s.joined = op->groups == 1 && op->dilations[1] == 1;
    s.runs = kernel->shape[1] * (s.joined ? 1 : kernel->shape[2]);
    s.run_values = kernel->shape[3] * (s.joined ? kernel->shape[2] : 1);
  }
  s.group_blocks = (s.group_outputs + KQ_LANES - 1) / KQ_LANES;
  return s;
}

/* Bytes from the first input under a window to the first of a tap. */
static int32_t tap_place(const kq_operator *op, uint32_t row, uint32_t column) {
  const kq_image in = kq_image_of(op);
  const uint32_t pixel = row * op->dilations[0] * kq_staged_columns(&in) + column * op->dilations[1];
  return (int32_t)(pixel * in.channels * kq_step_value_bytes(kq_step_type_of(op)));
}

/* To the first of a run. */
static int32_t run_place(const kq_operator *op, const shape *s, uint32_t run) {
  const uint32_t taps = op->input[KQ_KERNEL]->shape[2];
  return s->joined ? tap_place(op, run, 0) : tap_place(op, run / taps, run % taps);
}

/* The weights of one step for 16 channels, as integers or floats, 4 / value bytes of each. */
typedef struct {
  int32_t integer[KQ_LANES][4];
  float real[KQ_LANES];
} step_weights;

/* w = low + 256 high, both of 9 bits at most. */
static int32_t half_of(const kq_operator *op, int32_t w, uint32_t half) {
  const int32_t low = kq_halves(op) == 1 ? w : ((w & 255) ^ 128) - 128;
  return half == 0 ? low : (w - low) / 256;
}

static void read_step(const kq_operator *op, const kq_block *block, const shape *s, uint32_t run, uint32_t first, uint32_t half,
                      step_weights *w) {
  const kq_rows rows = kq_rows_of(op->input[KQ_KERNEL]);
  const kq_values reals = kq_values_of(op->input[KQ_KERNEL]);
  const uint32_t values = 4 / kq_step_value_bytes(kq_step_type_of(op));
  memset(w, 0, sizeof *w);
  for (uint32_t lane = 0; lane < block->channels; ++lane) {
    const uint32_t channel = block->first_channel + lane;
    for (uint32_t i = 0; i < values && first + i < s->run_values; ++i) {
      const uint32_t index = run * s->run_values + first + i;
      if (kq_step_type_of(op) != KQ_STEP_F32) {
        w->integer[lane][i] = half_of(op, kq_weight(&rows, channel, index), half);
      } else {
        w->real[lane] = kq_float_weight(&rows, &reals, channel, index);
      }
    }
  }
}

/* Where a block's steps go to. */
typedef struct {
  int32_t *place;
  uint8_t *weights;
  uint32_t count;
} step_list;

static void append(step_list *list, kq_step_type type, int32_t place, const step_weights *w) {
  uint8_t *bytes = list->weights + (size_t)list->count * KQ_STEP_BYTES;
  for (int lane = 0; lane < KQ_LANES; ++lane, bytes += 4) {
    for (int i = 0; i < 4 && type == KQ_STEP_U8; ++i) bytes[i] = (uint8_t)w->integer[lane][i];
    for (int i = 0; i < 2 && type == KQ_STEP_S16; ++i) kq_store_16_bits(bytes + 2 * i, w->integer[lane][i]);
    if (type == KQ_STEP_F32) kq_store_f32(bytes, w->real[lane]);
  }
  list->place[list->count++] = place;
}

/* One or two taps of 16 channels; an odd one out is multiplied by 0. */
static void append_taps(const kq_operator *op, const kq_block *block, uint32_t first, uint32_t taps, uint32_t half,
                        step_list *list) {
#ifdef __aarch64__
  static const uint8_t order[KQ_LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#else
  static const uint8_t order[KQ_LANES] = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15};
#endif
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const kq_rows rows = kq_rows_of(kernel);
  const kq_values reals = kq_values_of(kernel);
  const bool integer = kq_step_type_of(op) == KQ_STEP_DEPTHWISE;
  const uint32_t places = kq_step_places(kq_step_type_of(op)), number = list->count++;
  uint8_t *bytes = list->weights + (size_t)number * KQ_STEP_BYTES;
  for (uint32_t i = 0; i < places; ++i) {
    const uint32_t tap = i < taps ? first + i : first;
    list->place[number * places + i] = tap_place(op, tap / kernel->shape[2], tap % kernel->shape[2]);
    for (uint32_t lane = 0; lane < KQ_LANES && i < taps; ++lane) {
      const uint32_t within = integer ? order[lane] : lane;
      if (within >= block->channels) continue;
      const uint32_t channel = block->first_channel + within;
      if (integer) {
        kq_store_16_bits(bytes + 4 * lane + 2 * i, half_of(op, kq_weight(&rows, channel, tap), half));
      } else {
        kq_store_f32(bytes + 4 * lane, kq_float_weight(&rows, &reals, channel, tap));
      }
    }
  }
}

/* The steps of 16 channels of a depthwise convolution. */
static void list_depthwise_steps(const kq_operator *op, const kq_block *block, step_list *list) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const uint32_t taps = kernel->shape[1] * kernel->shape[2], together = kq_step_places(kq_step_type_of(op));
  for (uint32_t half = 0; half < kq_halves(op); ++half) {
    for (uint32_t tap = 0; tap < taps; tap += together) {
      append_taps(op, block, tap, taps - tap < together ? taps - tap : together, half, list);
    }
  }
}

static void list_steps(const kq_operator *op, const kq_block *block, step_list *list) {
  if (kq_is_depthwise(op)) {
    list_depthwise_steps(op, block, list);
    return;
  }
  const kq_step_type type = kq_step_type_of(op);
  const uint32_t bytes = kq_step_value_bytes(type);
  const shape s = shape_of(op);
  for (uint32_t run = 0; run < s.runs * kq_halves(op); ++run) {
    const int32_t place = run_place(op, &s, run % s.runs);
    for (uint32_t first = 0; first < s.run_values; first += 4 / bytes) {
      step_weights w;
      read_step(op, block, &s, run % s.runs, first, run / s.runs, &w);
      append(list, type, place + (int32_t)(first * bytes), &w);
    }
  }
}

/* The most steps, begun at any multiple of that number, whose 16-bit sums stay within 255 * KQ_LARGEST_PAIR. */
static uint16_t chunk_of(const uint8_t *weights, uint32_t steps) {
  for (uint32_t chunk = steps; chunk > 1; chunk = (chunk + 1) / 2) {
    bool fits = chunk <= UINT16_MAX;
    for (uint32_t begin = 0; begin < steps && fits; begin += chunk) {
      for (uint32_t pair = 0; pair < 2 * KQ_LANES && fits; ++pair) {
        kq_signed_sums sums = {0, 0};
        for (uint32_t step = begin; step < begin + chunk && step < steps; ++step) {
          const kq_signed_sums more = kq_signed_sums_of(weights + (size_t)step * KQ_STEP_BYTES + 2 * pair, 2);
          sums.positive += more.positive;
          sums.negative += more.negative;
        }
        fits = kq_larger_of(sums) <= KQ_LARGEST_PAIR;
      }
    }
    if (fits) return (uint16_t)chunk;
  }
  return 1;
}

/* Steps so that as few sums as possible are widened. */
static void order_steps(const kq_operator *op, kq_block *block, const step_list *list, bool saturating) {
  if (kq_is_wide(op)) block->chunk = KQ_WIDE_CHUNK;
  if (!saturating || kq_step_type_of(op) != KQ_STEP_U8) return;
  block->chunk = chunk_of(list->weights, block->steps);
  if (block->chunk < KQ_MIN_CHUNK) kq_gemm_pair_steps(list->place, list->weights, block);
}

static kq_block block_of(const shape *s, uint32_t number, kq_step_type type) {
  const uint32_t group = number / s->group_blocks, first = number % s->group_blocks * KQ_LANES;
  const uint32_t left = s->group_outputs - first;
  const uint32_t channel = type >= KQ_STEP_DEPTHWISE ? first : group * s->group_channels; /* of the input */
  const kq_block block = {
      .first_channel = group * s->group_outputs + first,
      .channels = (uint16_t)kq_least(left, KQ_LANES),
      .x_offset = channel * kq_step_value_bytes(type),
      .chunk = 1,
  };
  return block;
}

/* ---- The memory of the steps ---- */

typedef struct {
  size_t block, sum, magnitude, place, weights, end;
} layout;

/* Whether all blocks have the same places in the same order. */
static bool shares_places(const kq_operator *op, bool saturating) { return !saturating || kq_step_type_of(op) != KQ_STEP_U8; }

/* `steps` of all blocks, `places` steps have places of their own. */
static layout lay_out(const kq_operator *op, uint64_t steps, uint64_t places) {
  const size_t blocks = kq_blocks_of(op), lanes = blocks * KQ_LANES;
  layout l;
  l.block = kq_aligned(sizeof(kq_steps));
  l.sum = l.block + blocks * sizeof(kq_block);
  l.magnitude = l.sum + lanes * sizeof(int32_t);
  l.place = l.magnitude + lanes * sizeof(uint16_t);
  l.weights = kq_aligned(l.place + (size_t)places * kq_step_places(kq_step_type_of(op)) * sizeof(int32_t));
  l.end = l.weights + (size_t)steps * KQ_STEP_BYTES;
  return l;
}

uint32_t kq_blocks_of(const kq_operator *op) {
  const shape s = shape_of(op);
  return s.groups * s.group_blocks;
}

uint64_t kq_steps_of(const kq_operator *op) {
  const shape s = shape_of(op);
  const kq_step_type type = kq_step_type_of(op);
  const uint32_t values = type == KQ_STEP_DEPTHWISE ? 2 : type == KQ_STEP_DEPTHWISE_F32 ? 1 : 4 / kq_step_value_bytes(type);
  return (uint64_t)s.runs * ((s.run_values + values - 1) / values) * kq_halves(op);
}

/* The memory of the steps. */
static layout lay_out_steps(const kq_operator *op, bool saturating) {
  const uint64_t blocks = kq_blocks_of(op), steps = kq_steps_of(op);
  return lay_out(op, blocks * steps, shares_places(op, saturating) ? steps : blocks * steps);
}

void kq_fill_sums(const kq_operator *op, const kq_block *block, int32_t *sum, uint16_t *magnitudes) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const kq_rows rows = kq_rows_of(kernel);
  for (uint32_t lane = 0; lane < block->channels && op->is_integer; ++lane) {
    uint64_t all = 0;
    for (uint32_t i = 0; i < kernel->elements / kernel->shape[0]; ++i) {
      const int32_t weight = kq_weight(&rows, block->first_channel + lane, i);
      sum[lane] += weight;
      all += kq_magnitude(weight);
    }
    magnitudes[lane] = kq_upper_half((float)all);
  }
}

/* Doubles inputs where that is faster. */
static void choose_doubling(const kq_operator *op, kq_steps *steps, uint8_t *weights) {
  if (kq_step_type_of(op) != KQ_STEP_U8) return;
  uint64_t cost = 0, doubled = 0;
  for (uint32_t number = 0; number < steps->blocks; ++number) {
    cost += kq_gemm_cost(&steps->block[number]);
    doubled += kq_gemm_doubled_cost(&steps->block[number]);
  }
  steps->doubled = doubled < cost;
  for (uint32_t number = 0; number < steps->blocks && steps->doubled; ++number) {
    kq_gemm_double_steps(weights + (size_t)steps->block[number].first_step * KQ_STEP_BYTES, &steps->block[number]);
  }
}

static void pack_steps(const kq_operator *op, bool saturating, void *memory) {
  const shape s = shape_of(op);
  const layout l = lay_out_steps(op, saturating);
  const uint32_t blocks = kq_blocks_of(op);
  uint8_t *base = memory;
  memset(base, 0, l.end);
  kq_block *block = (kq_block *)(void *)(base + l.block);
  int32_t *sum = (int32_t *)(void *)(base + l.sum);
  uint16_t *magnitudes = (uint16_t *)(void *)(base + l.magnitude);
  int32_t *place = (int32_t *)(void *)(base + l.place);
  *(kq_steps *)memory = (kq_steps){
      .blocks = blocks,
      .own_places = !shares_places(op, saturating),
      .block = block,
      .place = place,
      .weights = base + l.weights,
      .sum = sum,
      .magnitude = magnitudes,
  };
  uint32_t steps = 0;
  for (uint32_t number = 0; number < blocks; ++number) {
    block[number] = block_of(&s, number, kq_step_type_of(op));
    block[number].first_step = steps;
    step_list list = {
        .place = place + (shares_places(op, saturating) ? 0 : steps),
        .weights = base + l.weights + (size_t)steps * KQ_STEP_BYTES,
    };
    list_steps(op, &block[number], &list);
    block[number].steps = list.count;
    steps += list.count;
    order_steps(op, &block[number], &list, saturating);
    kq_fill_sums(op, &block[number], sum + (size_t)number * KQ_LANES, magnitudes + (size_t)number * KQ_LANES);
  }
  if (saturating) choose_doubling(op, memory, base + l.weights);
}

static size_t bytes(const kq_operator *op) { return lay_out_steps(op, false).end; }
static size_t bytes_saturating(const kq_operator *op) { return lay_out_steps(op, true).end; }
static void pack(const kq_operator *op, const void *constants, void *memory) {
  (void)constants;
  pack_steps(op, false, memory);
}
static void pack_saturating(const kq_operator *op, const void *constants, void *memory) {
  (void)constants;
  pack_steps(op, true, memory);
}

/* Places are those of inputs with as many channels and columns. */
static bool serves(const kq_operator *owner, const kq_operator *op) {
  const kq_image a = kq_image_of(owner), b = kq_image_of(op);
  return kq_step_type_of(owner) == kq_step_type_of(op) && kq_is_wide(owner) == kq_is_wide(op) && a.channels == b.channels &&
         kq_staged_columns(&a) == kq_staged_columns(&b) && owner->groups == op->groups &&
         memcmp(owner->dilations, op->dilations, sizeof op->dilations) == 0;
}

const kq_part kq_gemm_steps = {.bytes = bytes, .serves = serves, .pack = pack};
const kq_part kq_gemm_saturating_steps = {
    .bytes = bytes_saturating, .serves = serves, .pack = pack_saturating};
