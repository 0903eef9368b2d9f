/* Weights of DENSE in rows: see kq_dense_rows.h. Runs when a model is prepared. */
#include "kq_dense_rows.h"

#include "../kq_float.h"

static uint32_t values_of(const kq_operator *op) { return 4 / kq_step_value_bytes(kq_step_type_of(op)); }

static uint32_t steps_of(const kq_operator *op) {
  const uint32_t inputs = op->input[KQ_KERNEL]->shape[1], values = values_of(op);
  return inputs / values + (inputs % values != 0);
}

/* So many chunks' sums can be added up (kq_wide.h). */
bool kq_dense_accepts(const kq_operator *op) {
  return !kq_is_wide(op) || (steps_of(op) <= KQ_HALF_CHUNK * KQ_WIDE_CHUNKS && kq_sums_fit(op));
}

/* ---- The weights of a channel ---- */

typedef struct {
  kq_rows rows;
  kq_values reals;
  kq_step_type type;
  bool copied; /* as they are in the file */
  uint32_t inputs, values, channel;
} channel_weights;

static channel_weights weights_of(const kq_operator *op) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  channel_weights w = {
      .rows = kq_rows_of(kernel),
      .reals = kq_values_of(kernel),
      .type = kq_step_type_of(op),
      .inputs = kernel->shape[1],
      .values = values_of(op),
  };
  w.copied = (w.type == KQ_STEP_U8 && kernel->type == KQ_FIXED8) || (w.type == KQ_STEP_S16 && kernel->type == KQ_FIXED16);
  return w;
}

/* Those of one step: 4 bytes; 0 behind the last input. */
static void fill_step(const channel_weights *w, uint32_t step, uint8_t to[4]) {
  const uint32_t first = step * w->values, left = w->inputs - first, count = left < w->values ? left : w->values;
  if (w->copied) {
    const uint32_t bytes = 4 / w->values;
    memcpy(to, w->rows.data + (size_t)w->channel * w->rows.bytes + (size_t)first * bytes, count * bytes);
    return;
  }
  for (uint32_t i = 0; i < count; ++i) {
    if (w->type == KQ_STEP_U8) {
      to[i] = (uint8_t)kq_weight(&w->rows, w->channel, first + i);
    } else if (w->type == KQ_STEP_S16) {
      kq_store_16_bits(to + 2 * i, kq_weight(&w->rows, w->channel, first + i));
    } else {
      kq_store_f32(to, kq_float_weight(&w->rows, &w->reals, w->channel, first));
    }
  }
}

/* What is known of a channel's integers. */
typedef struct {
  int64_t sum;
  uint64_t magnitudes;
  uint32_t largest_pair; /* as in kq_dense_rows */
} facts;

static void count_step(kq_step_type type, const uint8_t bytes[4], facts *f) {
  for (int pair = 0; pair < 2; ++pair) {
    const int32_t a = type == KQ_STEP_U8 ? kq_load_s8(bytes + 2 * pair) : kq_load_s16(bytes + 2 * pair);
    const int32_t b = type == KQ_STEP_U8 ? kq_load_s8(bytes + 2 * pair + 1) : 0;
    const uint32_t both = kq_magnitude(a) + kq_magnitude(b);
    f->sum += a + b;
    f->magnitudes += both;
    if (both > f->largest_pair) f->largest_pair = both;
  }
}

/* ---- The memory of the rows ---- */

typedef struct {
  size_t block, sum, magnitude, weights, end;
} layout;

static layout lay_out(const kq_operator *op) {
  const size_t blocks = kq_blocks_of(op), lanes = blocks * KQ_LANES;
  layout l;
  l.block = kq_aligned(sizeof(kq_dense_rows));
  l.sum = l.block + blocks * sizeof(kq_block);
  l.magnitude = l.sum + lanes * sizeof(int32_t);
  l.weights = kq_aligned(l.magnitude + lanes * sizeof(uint16_t));
  l.end = l.weights + blocks * steps_of(op) * KQ_STEP_BYTES;
  return l;
}

static size_t bytes(const kq_operator *op) { return lay_out(op).end; }

static void pack_rows(const kq_operator *op, uint32_t most, void *memory) {
  const layout l = lay_out(op);
  const uint32_t blocks = kq_blocks_of(op), steps = steps_of(op), outputs = op->input[KQ_KERNEL]->shape[0];
  uint8_t *base = memory, *first = base + l.weights;
  kq_block *block = (kq_block *)(void *)(base + l.block);
  int32_t *sum = (int32_t *)(void *)(base + l.sum);
  uint16_t *magnitude = (uint16_t *)(void *)(base + l.magnitude);
  channel_weights w = weights_of(op);
  uint32_t largest_pair = 0;
  memset(base, 0, l.end);
  for (uint32_t number = 0; number < blocks;) {
    const uint32_t together = kq_together(blocks - number, most);
    for (uint32_t b = 0; b < together; ++b, ++number) {
      block[number].first_channel = number * KQ_LANES;
      block[number].channels = (uint16_t)kq_least(outputs - number * KQ_LANES, KQ_LANES);
      for (uint32_t lane = 0; lane < block[number].channels; ++lane) {
        facts f = {.sum = 0, .magnitudes = 0, .largest_pair = largest_pair};
        uint8_t *to = first + (size_t)b * KQ_STEP_BYTES + (size_t)lane * 4;
        w.channel = number * KQ_LANES + lane;
        for (uint32_t step = 0; step < steps; ++step, to += (size_t)together * KQ_STEP_BYTES) {
          fill_step(&w, step, to);
          if (op->is_integer) count_step(w.type, to, &f);
        }
        sum[w.channel] = (int32_t)f.sum;
        magnitude[w.channel] = kq_upper_half((float)f.magnitudes);
        largest_pair = f.largest_pair;
      }
    }
    first += (size_t)together * steps * KQ_STEP_BYTES;
  }
  kq_dense_rows *rows = memory;
  rows->shared = (kq_steps){
      .blocks = blocks,
      .block = block,
      .weights = base + l.weights,
      .sum = sum,
      .magnitude = magnitude,
  };
  rows->steps = steps;
  rows->largest_pair = largest_pair;
}

static void pack(const kq_operator *op, const void *constants, void *memory) {
  (void)constants;
  pack_rows(op, KQ_MOST_TOGETHER, memory);
}
static void pack_avx2(const kq_operator *op, const void *constants, void *memory) {
  (void)constants;
  pack_rows(op, KQ_MOST_TOGETHER_AVX2, memory);
}

static bool serves(const kq_operator *owner, const kq_operator *op) { return kq_step_type_of(owner) == kq_step_type_of(op); }

static const kq_part rows = {.bytes = bytes, .serves = serves, .pack = pack};
static const kq_part rows_avx2 = {.bytes = bytes, .serves = serves, .pack = pack_avx2};

const kq_packing kq_dense_packing = {.reserve = kq_reserve, .fill = kq_fill, .constants = &rows, .finish = &kq_gemm_finish_part};
const kq_packing kq_dense_packing_avx2 = {
    .reserve = kq_reserve, .fill = kq_fill, .constants = &rows_avx2, .finish = &kq_gemm_finish_part};
