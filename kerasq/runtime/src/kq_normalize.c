/* NORMALIZE in integers: y = (n x - S) / sqrt(n Q - S^2 + E), with the sums S of a run's values (0 where the mean is left) and Q of
 * their squares; S^2 and the square of n x - S need no fractional bits. The root has 32 bits, its reciprocal 30: NUMERICS.md. */
#include "kq_normalize.h"

/* How values are read: with the sign bit flipped they are counted from the smallest one, of which `origin` is the 0. Where the mean is
 * subtracted that changes nothing, and the origin is 0. */
typedef struct {
  kq_runs runs;
  uint64_t epsilon;
  uint32_t flip;
  int32_t origin;
  bool narrow, narrow_output; /* 8 bits */
  bool fits_32_bits;          /* n times the range */
} plan;

static uint32_t read(const plan *p, const uint8_t *x, uint32_t i) {
  return (p->narrow ? x[i] : kq_load_u16(x + 2 * (size_t)i)) ^ p->flip;
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

/* Sums of a run's values and of their squares. */
typedef struct {
  int64_t sum;
  uint64_t squares;
} sums;

static void add(const plan *p, const uint8_t *x, uint32_t first, sums *total) {
  const int32_t origin = p->origin;
  const uint32_t flip = p->flip;
  int64_t sum = 0;
  uint64_t squares = 0;
  if (p->narrow) {
    for (const uint8_t *end = x + first + p->runs.channels, *place = x + first; place != end; ++place) {
      const int32_t value = (int32_t)(*place ^ flip) - origin;
      sum += value;
      squares += (uint32_t)(value * value);
    }
  } else {
    for (uint32_t i = first; i < first + p->runs.channels; ++i) {
      const int32_t value = (int32_t)read(p, x, i) - origin;
      sum += value;
      squares += (uint32_t)value * (uint32_t)value;
    }
  }
  total->sum += sum;
  total->squares += squares;
}

/* floor(a / 2^places) in 32 bits: see kq_shift_floor. */
static inline int32_t shift_floor(int32_t a, int places) { return a < 0 ? ~(~a >> places) : a >> places; }

/* What makes y of a value: (factor x - offset) R 2^-shift, n x - S but for a power of two and for where values are counted from.
 *
 * The squares of all c = n x - S of a run sum up to n (n Q - S^2), so that c^2 <= n d. In 32 bits c fits where n times the range does,
 * and so does c 2^k for the k that makes a shift of 33 of a shorter one: as 4^pairs d < 2^64 and shift = 61 - pairs - n_y, it is at most
 * sqrt(n) 2^(n_y + 4), 2^30 for n = 2^20 and n_y = 16. The upper 32 bits of the product then hold the place that rounds. (Of factor x
 * and the offset the lower 32 bits suffice, as for their difference.) */
typedef struct {
  uint32_t factor;
  int64_t offset;
  int32_t reciprocal;
  int shift;
  int32_t low, high;
} scale;

static inline int32_t scaled(uint32_t stored, uint32_t factor, uint32_t offset, int32_t reciprocal, int32_t half, int places) {
  const int32_t difference = (int32_t)(factor * stored - offset);
  return shift_floor((int32_t)kq_shift_floor((int64_t)difference * reciprocal, 32) + half, places);
}

static void write_narrow(const uint8_t *x, uint8_t *y, uint32_t count, uint32_t flip, const scale *by) {
  const uint32_t factor = by->factor, offset = (uint32_t)by->offset;
  const int32_t reciprocal = by->reciprocal, low = by->low, high = by->high;
  const int places = by->shift - 32;
  const int32_t half = (int32_t)1 << (places - 1);
  for (const uint8_t *end = x + count; x != end; ++x, ++y) {
    int32_t result = scaled(*x ^ flip, factor, offset, reciprocal, half, places);
    if (result > high) result = high;
    if (result < low) result = low;
    *y = (uint8_t)result;
  }
}

static void write_any(const plan *p, const uint8_t *x, uint8_t *y, uint32_t first, const scale *by) {
  for (uint32_t i = first; i < first + p->runs.channels; ++i) {
    const int64_t difference = (int64_t)by->factor * read(p, x, i) - by->offset;
    const int32_t result = kq_requantize(difference * by->reciprocal, by->shift, by->low, by->high);
    if (p->narrow_output) {
      y[i] = (uint8_t)result;
    } else {
      kq_store_16_bits(y + 2 * (size_t)i, result);
    }
  }
}

/* Of the run that begins with value number `first`. */
static void normalize(const kq_operator *op, const plan *p, const uint8_t *x, uint8_t *y, uint32_t first) {
  const uint32_t n = p->runs.count, step = p->runs.step, end = first + p->runs.pixels * step;
  sums of = {0, 0};
  for (uint32_t pixel = first; pixel < end; pixel += step) add(p, x, pixel, &of);
  if (!op->is_centered) of.sum = 0;
  uint64_t d = n * of.squares - (uint64_t)of.sum * (uint64_t)of.sum + p->epsilon; /* exact, though its parts may not fit 64 bits */
  if (d == 0) d = 1;
  const int pairs = pairs_of(d);
  scale by = {
      .factor = n, .offset = of.sum + (int64_t)n * p->origin, .reciprocal = (int32_t)reciprocal_of(root_of(d << 2 * pairs)),
      .shift = 61 - pairs - op->output->frac_bits, .low = op->low.fixed, .high = op->high.fixed};
  const bool is_fast = p->narrow && p->narrow_output && p->fits_32_bits;
  if (is_fast && by.shift < 33) {
    by.factor <<= 33 - by.shift;
    by.offset *= (int64_t)1 << (33 - by.shift);
    by.shift = 33;
  }
  for (uint32_t pixel = first; pixel < end; pixel += step) {
    if (is_fast) {
      write_narrow(x + pixel, y + pixel, p->runs.channels, p->flip, &by);
    } else {
      write_any(p, x, y, pixel, &by);
    }
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *x = op->input[KQ_NORMALIZE_INPUT];
  const uint32_t flip = (uint32_t)-kq_min_int(x->type);
  plan p = {
      .runs = kq_runs_of(op), .flip = flip, .origin = op->is_centered ? 0 : (int32_t)flip,
      .narrow = kq_value_bytes(x->type) == 1, .narrow_output = kq_value_bytes(op->output->type) == 1};
  p.fits_32_bits = p.runs.count <= (uint32_t)1 << (31 - kq_bits(x->type));
  p.epsilon = kq_scaled_epsilon(kq_epsilon_product(op, p.runs.count), kq_epsilon_places(op));
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
