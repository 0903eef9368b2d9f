/* NORMALIZE in integers: y = (n x - S) / sqrt(n Q - S^2 + E), with the sums S of a run's values (0 where the mean is left) and Q of
 * their squares; S^2 and the square of n x - S need no fractional bits. The root has 32 bits, its reciprocal 30: NUMERICS.md. */
#include "kq_normalize.h"

/* Values as integers from 0 on, or, with `flip`, the sign bit, from the smallest one on: as the mean is subtracted, nothing changes
 * when all of them are moved. */
typedef struct {
  kq_runs runs;
  uint64_t epsilon;
  uint32_t flip;
  int32_t origin; /* what is subtracted where the mean is not */
  uint8_t x_bytes, y_bytes;
} plan;

static inline int32_t value_of(const plan *p, const uint8_t *x, uint32_t i) {
  const uint32_t stored = p->x_bytes == 1 ? x[i] : kq_load_u16(x + 2 * (size_t)i);
  return (int32_t)(stored ^ p->flip) - p->origin;
}

/* floor(sqrt(d)) for d >= 2^62: the root s of the upper half bit by bit, then, as d = (s 2^16 + q)^2 + ... gives q <= (rest of the upper
 * half) / (2 s), a division of 32 bits by 16. What q^2 makes too much is at most one. */
static uint32_t root_of(uint64_t d) {
  const uint32_t upper = (uint32_t)(d >> 32);
  uint32_t s = 1u << 15;
  for (uint32_t bit = 1u << 14; bit != 0; bit >>= 1) {
    const uint32_t more = s | bit;
    if (more * more <= upper) s = more;
  }
  uint32_t q = ((upper - s * s) << 15 | ((uint32_t)d >> 17)) / s;
  if (q > UINT16_MAX) q = UINT16_MAX;
  uint32_t root = s << 16 | q;
  while ((uint64_t)root * root > d) --root;
  return root;
}

/* floor(2^61 / r) for r >= 2^31: two digits of 16 bits, each from a division by the upper half of r, which gives at most two too
 * much. */
static uint32_t reciprocal_of(uint32_t r) {
  const uint64_t dividend = (uint64_t)1 << 45;
  uint32_t high = (1u << 29) / (r >> 16);
  while ((uint64_t)high * r > dividend) --high;
  const uint32_t rest = (uint32_t)(dividend - (uint64_t)high * r);
  uint32_t low = rest / (r >> 16);
  while ((uint64_t)low * r > (uint64_t)rest << 16) --low;
  return (high << 16) + low;
}

/* By how many pairs of places d, not 0, is shifted left to reach 2^62. */
static int pairs_of(uint64_t d) {
  int pairs = 0;
  for (int step = 16; step != 0; step >>= 1) {
    if ((d << 2 * pairs) >> (64 - 2 * step) == 0) pairs += step;
  }
  return pairs;
}

static inline void store(const plan *p, uint8_t *y, uint32_t i, int32_t value) {
  if (p->y_bytes == 1) {
    y[i] = (uint8_t)value;
  } else {
    kq_store_16_bits(y + 2 * (size_t)i, value);
  }
}

/* Of the run that begins with value number `first`. */
static void normalize(const kq_operator *op, const plan *p, const uint8_t *x, uint8_t *y, uint32_t first) {
  const kq_runs *runs = &p->runs;
  const uint32_t n = runs->count, end = first + runs->pixels * runs->step;
  int64_t sum = 0;
  uint64_t squares = 0;
  for (uint32_t pixel = first; pixel < end; pixel += runs->step) {
    for (uint32_t i = pixel; i < pixel + runs->channels; ++i) {
      const int32_t value = value_of(p, x, i);
      sum += value;
      squares += (uint32_t)value * (uint32_t)value;
    }
  }
  if (!op->is_centered) sum = 0;
  uint64_t d = n * squares - (uint64_t)sum * (uint64_t)sum + p->epsilon; /* exact, though its parts may not fit 64 bits */
  if (d == 0) d = 1;
  const int pairs = pairs_of(d), shift = 61 - pairs - op->output->frac_bits;
  const int32_t reciprocal = (int32_t)reciprocal_of(root_of(d << 2 * pairs));
  for (uint32_t pixel = first; pixel < end; pixel += runs->step) {
    for (uint32_t i = pixel; i < pixel + runs->channels; ++i) {
      const int64_t difference = (int64_t)n * value_of(p, x, i) - sum;
      store(p, y, i, kq_requantize(difference * reciprocal, shift, op->low.fixed, op->high.fixed));
    }
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *x = op->input[KQ_NORMALIZE_INPUT];
  const uint32_t flip = (uint32_t)-kq_min_int(x->type);
  const int places = kq_epsilon_places(op);
  plan p = {
      .runs = kq_runs_of(op), .flip = flip, .origin = op->is_centered ? 0 : (int32_t)flip,
      .x_bytes = (uint8_t)kq_value_bytes(x->type), .y_bytes = (uint8_t)kq_value_bytes(op->output->type)};
  const uint64_t epsilon = kq_epsilon_product(op, p.runs.count);
  p.epsilon = places < 0 ? epsilon << -places : kq_rounded(epsilon, places);
  for (uint32_t block = 0; block < x->elements; block += p.runs.pixels * p.runs.step) {
    for (uint32_t group = 0; group < p.runs.groups; ++group) {
      normalize(op, &p, kq_input_data(op, KQ_NORMALIZE_INPUT, arena), kq_output_data(op, arena), block + group * p.runs.channels);
    }
  }
}

static bool accepts(const kq_operator *op) { return op->is_integer; }

const kq_kernel kq_normalize = {
    .name = "kq_normalize",
    .kind = KQ_NORMALIZE,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = accepts,
    .run = run,
};
