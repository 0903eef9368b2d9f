/* Which steps a convolution takes: see kq_gemm.h. Runs once per model, when it is prepared. */
#include "kq_gemm.h"

#include "../kq_float.h"

enum { SLACK = 64 };

static bool is_dense(const kq_operator *op) { return op->kind == KQ_DENSE; }

static bool is_depthwise(const kq_operator *op) {
  return !is_dense(op) && op->groups > 1 && op->input[KQ_KERNEL]->shape[3] == 1 && op->input[KQ_KERNEL]->shape[0] == op->groups;
}

static kq_step_type step_type(const kq_operator *op) {
  if (is_depthwise(op)) return op->is_integer ? KQ_STEP_DEPTHWISE : KQ_STEP_DEPTHWISE_F32;
  if (!op->is_integer) return KQ_STEP_F32;
  return kq_value_bytes(op->input[KQ_X]->type) == 2 ? KQ_STEP_S16 : KQ_STEP_U8;
}

static uint32_t bytes_of(kq_step_type type) {
  static const uint8_t bytes[] = {1, 2, 4, 2, 4}; /* by kq_step_type */
  return bytes[type];
}

/* The input's geometry; a Dense input is one pixel of all its values. */
typedef struct {
  uint32_t rows, columns, channels;
  uint32_t padding[4];
} image;

static image image_of(const kq_operator *op) {
  const kq_tensor *x = op->input[KQ_X];
  image in = {1, 1, x->elements, {0, 0, 0, 0}};
  if (is_dense(op)) return in;
  in.rows = x->shape[1];
  in.columns = x->shape[2];
  in.channels = x->shape[3];
  for (int i = 0; i < 4; ++i) in.padding[i] = op->padding[i];
  return in;
}

/* Whether the input has to be copied: for margins, for another type, or because the output is written over it. */
static bool needs_staging(const kq_operator *op) {
  const kq_tensor *x = op->input[KQ_X];
  const image in = image_of(op);
  const uint8_t direct[] = {KQ_UFIXED8, KQ_FIXED16, KQ_FLOAT32, KQ_FIXED16, KQ_FLOAT32}; /* by kq_step_type */
  return (in.padding[0] | in.padding[1] | in.padding[2] | in.padding[3]) != 0 || x->type != direct[step_type(op)] ||
         kq_share_bytes(x, op->output);
}

static uint64_t staged_bytes(const kq_operator *op) {
  const image in = image_of(op);
  const uint64_t rows = in.padding[0] + in.rows + in.padding[1], columns = in.padding[2] + in.columns + in.padding[3];
  return needs_staging(op) ? rows * columns * in.channels * bytes_of(step_type(op)) : 0;
}

size_t kq_gemm_scratch_bytes(const kq_operator *op) { return (size_t)staged_bytes(op) + SLACK; }

/* A window much larger than its input, legal if odd, would take a copy that is almost all margin. */
static bool is_worth_staging(const kq_operator *op) {
  const uint64_t values = (uint64_t)op->input[KQ_X]->elements + op->output->elements;
  return staged_bytes(op) <= 16 * values + (1u << 16) && staged_bytes(op) < (1u << 30);
}

/* Block after block passes over a chunk of pixels: an output that lies over its addend, but not value by value, would reach
 * addends of blocks to come. */
static bool has_safe_addend(const kq_operator *op) {
  const kq_tensor *addend = op->input[KQ_ADDEND], *y = op->output;
  if (addend == NULL || !kq_share_bytes(addend, y)) return true;
  return addend->offset == y->offset && addend->bytes == y->bytes;
}

bool kq_gemm_accepts(const kq_operator *op) {
  if (!is_worth_staging(op) || is_depthwise(op) || !has_safe_addend(op)) return false;
  const kq_tensor *x = op->input[KQ_X], *kernel = op->input[KQ_KERNEL];
  if (!op->is_integer) return true;
  return op->accumulator_bits == 32 && (kq_value_bytes(x->type) == 2 || kernel->type != KQ_FIXED16);
}

bool kq_depthwise_accepts(const kq_operator *op) {
  return is_worth_staging(op) && is_depthwise(op) && has_safe_addend(op) && (!op->is_integer || op->accumulator_bits == 32);
}

/* ---- Steps ---- */

/* Inputs that lie side by side and are multiplied one after the other: one run of steps. */
typedef struct {
  uint32_t runs, run_values; /* of one output channel */
  uint32_t groups, group_channels, group_outputs, group_blocks;
  bool joined; /* a run is a whole row of taps, else one tap */
} shape;

static shape shape_of(const kq_operator *op) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  shape s = {1, kernel->shape[1], 1, kernel->shape[1], kernel->shape[0], 0, true};
  if (is_depthwise(op)) { /* all channels as one group; a run is all taps */
    s.run_values = kernel->shape[1] * kernel->shape[2];
  } else if (!is_dense(op)) {
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
  const image in = image_of(op);
  const uint32_t columns = in.padding[2] + in.columns + in.padding[3];
  const uint32_t pixel = row * op->dilations[0] * columns + column * op->dilations[1];
  return (int32_t)(pixel * in.channels * bytes_of(step_type(op)));
}

/* To the first of a run. */
static int32_t run_place(const kq_operator *op, const shape *s, uint32_t run) {
  if (is_dense(op)) return 0;
  const uint32_t taps = op->input[KQ_KERNEL]->shape[2];
  return s->joined ? tap_place(op, run, 0) : tap_place(op, run / taps, run % taps);
}

/* The weights of one step for 16 channels, as integers or floats, 4 / value bytes of each. */
typedef struct {
  int32_t integer[KQ_LANES][4];
  float real[KQ_LANES];
} step_weights;

static float float_weight(const kq_tensor *kernel, uint32_t channel, uint32_t index) {
  if (kernel->type == KQ_SIGN) return (float)kq_weight(kernel, channel, index);
  return kq_value(kernel, kernel->data, channel * (kernel->elements / kernel->shape[0]) + index);
}

static void read_step(const kq_operator *op, const kq_block *block, const shape *s, uint32_t run, uint32_t first,
                      step_weights *w) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const uint32_t values = 4 / bytes_of(step_type(op));
  memset(w, 0, sizeof *w);
  for (uint32_t lane = 0; lane < block->channels; ++lane) {
    const uint32_t channel = block->first_channel + lane;
    for (uint32_t i = 0; i < values && first + i < s->run_values; ++i) {
      const uint32_t index = run * s->run_values + first + i;
      if (step_type(op) != KQ_STEP_F32) {
        w->integer[lane][i] = kq_weight(kernel, channel, index);
      } else {
        w->real[lane] = float_weight(kernel, channel, index);
      }
    }
  }
}

static int32_t magnitude(int32_t a) { return a < 0 ? -a : a; }

/* Largest |w0| + |w1| of the pairs that vpmaddubsw adds; `sums` are those of each lane's two pairs, added up over steps. */
static int32_t largest_pair(const step_weights *w, int32_t sums[KQ_LANES][2]) {
  int32_t largest = 0;
  for (int lane = 0; lane < KQ_LANES; ++lane) {
    for (int pair = 0; pair < 2; ++pair) {
      const int32_t sum = magnitude(w->integer[lane][2 * pair]) + magnitude(w->integer[lane][2 * pair + 1]);
      if (sum > largest) largest = sum;
      if (sums != NULL) sums[lane][pair] += sum;
    }
  }
  return largest;
}

/* w = a + b with halves of at most 64. */
static void split(const step_weights *w, step_weights *a, step_weights *b) {
  for (int lane = 0; lane < KQ_LANES; ++lane) {
    for (int i = 0; i < 4; ++i) {
      a->integer[lane][i] = w->integer[lane][i] / 2;
      b->integer[lane][i] = w->integer[lane][i] - a->integer[lane][i];
    }
  }
}

/* Where steps go to; NULL pointers only count them. */
typedef struct {
  int32_t *place;
  uint8_t *weights;
  uint32_t count;
} step_list;

static void append(step_list *list, kq_step_type type, int32_t place, const step_weights *w) {
  if (list->place != NULL) {
    list->place[list->count] = place;
    uint8_t *bytes = list->weights + (size_t)list->count * KQ_STEP_BYTES;
    for (int lane = 0; lane < KQ_LANES; ++lane, bytes += 4) {
      for (int i = 0; i < 4 && type == KQ_STEP_U8; ++i) bytes[i] = (uint8_t)w->integer[lane][i];
      for (int i = 0; i < 2 && type == KQ_STEP_S16; ++i) kq_store(KQ_FIXED16, bytes, (uint32_t)i, w->integer[lane][i]);
      if (type == KQ_STEP_F32) kq_store_f32(bytes, w->real[lane]);
    }
  }
  ++list->count;
}

/* The steps of 16 channels of a depthwise convolution. */
static void list_depthwise_steps(const kq_operator *op, const kq_block *block, step_list *list) {
  static const uint8_t order[KQ_LANES] = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15};
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const bool integer = step_type(op) == KQ_STEP_DEPTHWISE;
  const uint32_t taps = kernel->shape[1] * kernel->shape[2], together = kq_step_places(step_type(op));
  for (uint32_t first = 0; first < taps; first += together, ++list->count) {
    if (list->place == NULL) continue;
    uint8_t *bytes = list->weights + (size_t)list->count * KQ_STEP_BYTES;
    for (uint32_t i = 0; i < together; ++i) {
      const uint32_t tap = first + i < taps ? first + i : first; /* an odd tap out is multiplied by 0 */
      list->place[list->count * together + i] = tap_place(op, tap / kernel->shape[2], tap % kernel->shape[2]);
      for (uint32_t lane = 0; lane < KQ_LANES; ++lane) {
        const uint32_t within = integer ? order[lane] : lane;
        if (within >= block->channels || first + i >= taps) continue;
        const uint32_t channel = block->first_channel + within;
        if (integer) {
          kq_store(KQ_FIXED16, bytes, lane * 2 + i, kq_weight(kernel, channel, tap));
        } else {
          kq_store_f32(bytes + 4 * lane, float_weight(kernel, channel, tap));
        }
      }
    }
  }
}

static void list_steps(const kq_operator *op, const kq_block *block, bool saturating, step_list *list) {
  if (is_depthwise(op)) {
    list_depthwise_steps(op, block, list);
    return;
  }
  const kq_step_type type = step_type(op);
  const uint32_t values = 4 / bytes_of(type);
  const shape s = shape_of(op);
  for (uint32_t run = 0; run < s.runs; ++run) {
    const int32_t place = run_place(op, &s, run);
    for (uint32_t first = 0; first < s.run_values; first += values) {
      step_weights w, a, b;
      read_step(op, block, &s, run, first, &w);
      const int32_t here = place + (int32_t)(first * bytes_of(type));
      if (!saturating || type != KQ_STEP_U8 || largest_pair(&w, NULL) <= 128) {
        append(list, type, here, &w);
      } else {
        split(&w, &a, &b);
        append(list, type, here, &a);
        append(list, type, here, &b);
      }
    }
  }
}

/* The most steps, begun at any multiple of that number, whose 16-bit sums stay within 255 * 128. */
static uint32_t chunk_of(const kq_gemm *gemm, const kq_block *block) {
  for (uint32_t chunk = block->steps; chunk > 1; chunk = (chunk + 1) / 2) {
    bool fits = true;
    for (uint32_t begin = 0; begin < block->steps && fits; begin += chunk) {
      int32_t sums[KQ_LANES][2];
      memset(sums, 0, sizeof sums);
      for (uint32_t step = begin; step < begin + chunk && step < block->steps; ++step) {
        const uint8_t *bytes = gemm->weights + (size_t)(block->first_step + step) * KQ_STEP_BYTES;
        for (int lane = 0; lane < KQ_LANES; ++lane) {
          for (int i = 0; i < 4; ++i) sums[lane][i / 2] += magnitude(kq_load_s8(bytes + 4 * lane + i));
        }
      }
      for (int lane = 0; lane < KQ_LANES; ++lane) fits = fits && sums[lane][0] <= 128 && sums[lane][1] <= 128;
    }
    if (fits) return chunk;
  }
  return 1;
}

/* Steps so that as few sums as possible are widened. */
static void order_steps(const kq_gemm *gemm, kq_block *block, const step_list *list) {
  block->chunk = chunk_of(gemm, block);
  if (block->chunk >= KQ_MIN_CHUNK) return;
  uint8_t *weights = list->weights + (size_t)block->first_step * KQ_STEP_BYTES;
  block->pairs = kq_gemm_pair_steps(list->place + block->first_step, weights, block->steps);
}

static kq_block block_of(const shape *s, uint32_t number, kq_step_type type) {
  const uint32_t group = number / s->group_blocks, first = number % s->group_blocks * KQ_LANES;
  const uint32_t left = s->group_outputs - first;
  const uint32_t channel = type >= KQ_STEP_DEPTHWISE ? first : group * s->group_channels; /* of the input */
  kq_block block = {group * s->group_outputs + first, left < KQ_LANES ? left : KQ_LANES, channel * bytes_of(type), 0, 1, 0, 0};
  return block;
}

/* ---- The plan's memory ---- */

typedef struct {
  size_t block, place, start, factor, offset, weights, end;
} layout;

static size_t aligned(size_t size) { return (size + 63) / 64 * 64; }

static layout lay_out(uint32_t blocks, uint32_t steps) {
  layout l;
  const size_t lanes = (size_t)blocks * KQ_LANES;
  l.block = aligned(sizeof(kq_gemm));
  l.place = l.block + aligned(blocks * sizeof(kq_block));
  l.start = l.place + aligned(2 * (size_t)steps * sizeof(int32_t)); /* up to two places */
  l.factor = l.start + lanes * sizeof(int32_t);
  l.offset = l.factor + lanes * sizeof(int32_t);
  l.weights = l.offset + lanes * sizeof(int64_t);
  l.end = l.weights + (size_t)steps * KQ_STEP_BYTES;
  return l;
}

static uint32_t count_steps(const kq_operator *op, bool saturating) {
  const shape s = shape_of(op);
  step_list list = {NULL, NULL, 0};
  for (uint32_t number = 0; number < s.groups * s.group_blocks; ++number) {
    const kq_block block = block_of(&s, number, step_type(op));
    list_steps(op, &block, saturating, &list);
  }
  return list.count;
}

size_t kq_gemm_bytes(const kq_operator *op, bool saturating) {
  const shape s = shape_of(op);
  return lay_out(s.groups * s.group_blocks, count_steps(op, saturating)).end;
}

/* ---- The stages after the sum ---- */

static double largest_magnitude(const kq_tensor *x) {
  return x->type == KQ_UFIXED16 ? 65535.0 : x->type == KQ_UFIXED8 ? 255.0 : -(double)kq_min_int(x->type);
}

static int addend_places(const kq_operator *op) {
  return op->input[KQ_ADDEND] == NULL ? 0 : kq_total_frac_bits(op) - op->input[KQ_ADDEND]->frac_bits;
}

/* An upper bound of |sum * m + b + r| with the rounding half, over all channels, a little rounded up. */
static double total_bound(const kq_operator *op) {
  const kq_tensor *kernel = op->input[KQ_KERNEL], *r = op->input[KQ_ADDEND];
  const double largest_x = largest_magnitude(op->input[KQ_X]);
  const double largest_r = r == NULL ? 0.0 : largest_magnitude(r) * kq_power_of_two(addend_places(op));
  const int shift = kq_total_frac_bits(op) - op->output->frac_bits;
  const double half = shift > 0 ? kq_power_of_two(shift - 1) : 0.0;
  double bound = 0;
  for (uint32_t channel = 0; channel < kernel->shape[0]; ++channel) {
    int64_t weights = 0;
    for (uint32_t i = 0; i < kernel->elements / kernel->shape[0]; ++i) weights += magnitude(kq_weight(kernel, channel, i));
    const double bias = (double)kq_total(op, channel, 0), factor = (double)kq_total(op, channel, 1) - bias;
    const double total = (double)weights * largest_x * (factor < 0 ? -factor : factor) + (bias < 0 ? -bias : bias) + largest_r + half;
    if (total > bound) bound = total;
  }
  return bound * 1.0001;
}

/* Input values are multiplied with this added to them (kq_gemm.h). */
static int32_t input_offset(const kq_operator *op) {
  const uint8_t type = op->input[KQ_X]->type;
  return type == KQ_UFIXED16 ? -32768 : type == KQ_FIXED8 && step_type(op) == KQ_STEP_U8 ? 128 : 0;
}

static kq_finish_type finish_of(const kq_operator *op, int shift) {
  if (!op->is_integer) return KQ_FINISH_FLOAT;
  if (op->output->type == KQ_FLOAT32 || shift < 0) return KQ_FINISH_ANY;
  if (op->total_bits == 32 && shift < 32) return KQ_FINISH_32;
  if (addend_places(op) > 30) return KQ_FINISH_ANY; /* FINISH_64 multiplies by 2^places, as an int32_t */
  return shift <= 32 && total_bound(op) < kq_power_of_two(shift + 31) ? KQ_FINISH_64 : KQ_FINISH_ANY;
}

static void fill_finish(const kq_operator *op, const kq_gemm *gemm, int32_t *start, int32_t *factor, int64_t *offset) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  /* Where these finish, the shift is at most 32; KQ_FINISH_FLOAT has no use for it, and there it may be anything. */
  const bool rounds = gemm->finish == KQ_FINISH_32 || gemm->finish == KQ_FINISH_64;
  const int64_t half = rounds && gemm->shift > 0 ? (int64_t)1 << (gemm->shift - 1) : 0;
  for (uint32_t number = 0; number < gemm->blocks; ++number) {
    const kq_block *block = &gemm->block[number];
    for (uint32_t lane = 0; lane < block->channels; ++lane) {
      const uint32_t channel = block->first_channel + lane, i = number * KQ_LANES + lane;
      if (gemm->finish == KQ_FINISH_FLOAT) { /* sums start from 0.0f, whose bits are 0 */
        const kq_tensor *m = op->input[KQ_MULTIPLIER], *b = op->input[KQ_BIAS];
        kq_store_f32((uint8_t *)factor + 4 * (size_t)i, m == NULL ? 1.0f : kq_value(m, m->data, channel));
        kq_store_f32((uint8_t *)offset + 4 * (size_t)i, b == NULL ? 0.0f : kq_value(b, b->data, channel));
        continue;
      }
      uint32_t weights = 0; /* modulo 2^32, as the sums */
      for (uint32_t k = 0; k < kernel->elements / kernel->shape[0]; ++k) weights += (uint32_t)kq_weight(kernel, channel, k);
      uint32_t begin = 0u - weights * (uint32_t)input_offset(op);
      offset[i] = kq_total(op, channel, 0) + half;
      const kq_tensor *multiplier = op->input[KQ_MULTIPLIER];
      factor[i] = multiplier == NULL ? 1 : kq_stored(multiplier->type, multiplier->data, channel);
      if (gemm->finish == KQ_FINISH_32 && !gemm->has_factor) begin += (uint32_t)offset[i];
      memcpy(&start[i], &begin, sizeof begin);
    }
  }
}

static void fill_geometry(const kq_operator *op, kq_gemm *gemm) {
  const image in = image_of(op);
  gemm->value_bytes = bytes_of(gemm->step_type);
  gemm->staged = needs_staging(op);
  gemm->staged_rows = in.padding[0] + in.rows + in.padding[1];
  gemm->staged_columns = in.padding[2] + in.columns + in.padding[3];
  const uint32_t pixel_bytes = in.channels * gemm->value_bytes;
  gemm->pixels = 1;
  gemm->columns = 1;
  if (is_dense(op)) return;
  gemm->column_bytes = op->strides[1] * pixel_bytes;
  gemm->row_bytes = op->strides[0] * gemm->staged_columns * pixel_bytes;
  gemm->columns = op->output->shape[2];
  gemm->pixels = op->output->shape[1] * gemm->columns;
}

void kq_gemm_pack(const kq_operator *op, bool saturating, void *memory) {
  const shape s = shape_of(op);
  const uint32_t blocks = s.groups * s.group_blocks;
  const layout l = lay_out(blocks, count_steps(op, saturating));
  uint8_t *base = memory;
  memset(base, 0, l.end);
  kq_gemm *gemm = memory;
  kq_block *block = (kq_block *)(void *)(base + l.block);
  step_list list = {(int32_t *)(void *)(base + l.place), base + l.weights, 0};
  gemm->step_type = step_type(op);
  gemm->shift = kq_total_frac_bits(op) - op->output->frac_bits;
  gemm->finish = finish_of(op, gemm->shift);
  gemm->has_factor = op->input[KQ_MULTIPLIER] != NULL;
  gemm->has_addend = op->input[KQ_ADDEND] != NULL;
  gemm->addend_places = op->is_integer ? addend_places(op) : 0;
  gemm->blocks = blocks;
  gemm->block = block;
  gemm->place = list.place;
  gemm->weights = list.weights;
  fill_geometry(op, gemm);
  for (uint32_t number = 0; number < blocks; ++number) {
    block[number] = block_of(&s, number, gemm->step_type);
    block[number].first_step = list.count;
    list_steps(op, &block[number], saturating, &list);
    block[number].steps = list.count - block[number].first_step;
    if (saturating && gemm->step_type == KQ_STEP_U8) order_steps(gemm, &block[number], &list);
  }
  int32_t *start = (int32_t *)(void *)(base + l.start), *factor = (int32_t *)(void *)(base + l.factor);
  int64_t *offset = (int64_t *)(void *)(base + l.offset);
  gemm->start = start;
  gemm->factor = factor;
  gemm->offset = offset;
  fill_finish(op, gemm, start, factor, offset);
}
