/* The accumulator proof (NUMERICS.md section 3): how large intermediate results can become, exactly, and whether the recorded
 * widths hold them. */
#include "kq_arithmetic.h"
#include "kq_verify.h"

/* Magnitude of a stored integer, that of -2^31 included. */
static uint32_t magnitude(int32_t a) { return a < 0 ? 0u - (uint32_t)a : (uint32_t)a; }

static uint32_t largest(const kq_tensor *x) {
  const uint32_t low = magnitude(kq_min_int(x->type)), high = magnitude(kq_max_int(x->type));
  return low > high ? low : high;
}

/* What requantizing from so many fractional bits adds before it shifts: 2^(s-1), or 0 where nothing is rounded. */
static uint64_t rounding_half(int frac_bits, const kq_tensor *y) {
  const int shift = frac_bits - y->frac_bits;
  return y->type == KQ_FLOAT32 || shift <= 0 ? 0 : kq_bound_shifted(1, shift - 1);
}

/* Sum of |w| over an output channel: below 2^31 weights of at most 2^15. */
static uint64_t weight_sum(const kq_tensor *kernel, uint32_t channel) {
  const uint32_t weights = kernel->elements / kernel->shape[0];
  if (kernel->type == KQ_SIGN) return weights;
  uint64_t total = 0;
  for (uint32_t i = 0; i < weights; ++i) total += magnitude(kq_stored(kernel->type, kernel->data, channel * weights + i));
  return total;
}

static uint32_t vector_value(const kq_tensor *tensor, uint32_t channel, uint32_t absent) {
  return tensor == NULL ? absent : magnitude(kq_stored(tensor->type, tensor->data, channel));
}

typedef struct {
  uint64_t accumulator, total;
} bounds;

/* A = (sum of |w|) * max|x| and T = A * |m| + |b| * 2^(n_t - n_b) + max|r| * 2^(n_t - n_r) + 2^(s-1), over all channels. */
static bounds weighted_bounds(const kq_operator *op) {
  const kq_tensor *x = op->input[0], *kernel = op->input[1], *multiplier = op->input[2], *bias = op->input[3];
  const kq_tensor *addend = op->input[4];
  const int frac_bits = x->frac_bits + kernel->frac_bits + (multiplier == NULL ? 0 : multiplier->frac_bits);
  const int bias_places = bias == NULL ? 0 : frac_bits - bias->frac_bits;
  bounds found = {0, 0};
  for (uint32_t channel = 0; channel < kernel->shape[0]; ++channel) {
    const uint64_t accumulator = kq_bound_product(weight_sum(kernel, channel), largest(x));
    const uint64_t scaled = kq_bound_product(accumulator, vector_value(multiplier, channel, 1));
    const uint64_t total = kq_bound_sum(scaled, kq_bound_shifted(vector_value(bias, channel, 0), bias_places));
    if (accumulator > found.accumulator) found.accumulator = accumulator;
    if (total > found.total) found.total = total;
  }
  if (addend != NULL) {
    found.total = kq_bound_sum(found.total, kq_bound_shifted(largest(addend), frac_bits - addend->frac_bits));
  }
  found.total = kq_bound_sum(found.total, rounding_half(frac_bits, op->output));
  return found;
}

/* max|x| of each input, shifted to the finer fractional bits (at most 32 places), and the rounding half: ADD, and QUANTIZE as the
 * sum of one. */
static uint64_t add_bound(const kq_operator *op) {
  int finer = op->input[0]->frac_bits;
  uint64_t sum = 0;
  if (op->inputs == 2 && op->input[1]->frac_bits > finer) finer = op->input[1]->frac_bits;
  for (uint32_t i = 0; i < op->inputs; ++i) {
    sum = kq_bound_sum(sum, kq_bound_shifted(largest(op->input[i]), finer - op->input[i]->frac_bits));
  }
  return kq_bound_sum(sum, rounding_half(finer, op->output));
}

/* 2 N (max|x| 2^-k + 2^k), either power only where it is above 1: covers numerator and denominator. |k| is at most 24. */
static uint64_t average_bound(const kq_operator *op) {
  const kq_tensor *x = op->input[0];
  const int k = x->frac_bits - op->output->frac_bits;
  uint32_t taps = 1;
  for (uint32_t axis = 0; axis < 2; ++axis) {
    const uint32_t size = x->shape[1 + axis], window = op->window[axis];
    taps *= size < window ? size : window;
  }
  if (op->output->type == KQ_FLOAT32) return kq_bound_product(largest(x), taps);
  return kq_bound_product(kq_bound_shifted(largest(x), k < 0 ? -k : 0) + kq_bound_shifted(1, k > 0 ? k : 0), 2 * taps);
}

/* e 2^(n_y+1) + 2 S with e at most 2^15: covers numerator and denominator. */
static uint64_t softmax_bound(const kq_operator *op) {
  const kq_tensor *x = op->input[0];
  return kq_bound_shifted(1, 16 + op->output->frac_bits) + kq_bound_shifted(x->shape[x->rank - 1], 16);
}

/* max|a| max|b| and the rounding half. */
static uint64_t mul_bound(const kq_operator *op) {
  const kq_tensor *a = op->input[0], *b = op->input[1];
  return kq_bound_sum((uint64_t)largest(a) * largest(b), rounding_half(a->frac_bits + b->frac_bits, op->output));
}

/* The largest max|x| with its rounding half. */
static uint64_t concat_bound(const kq_operator *op) {
  uint64_t found = 0;
  for (uint32_t i = 0; i < op->inputs; ++i) {
    const kq_tensor *x = op->input[i];
    const uint64_t needed = kq_bound_sum(largest(x), rounding_half(x->frac_bits, op->output));
    if (needed > found) found = needed;
  }
  return found;
}

static uint64_t bound(const kq_operator *op) {
  switch (op->kind) {
    case KQ_ADD:
    case KQ_QUANTIZE: return add_bound(op);
    case KQ_AVERAGE_POOL_2D: return average_bound(op);
    case KQ_SOFTMAX: return softmax_bound(op);
    case KQ_MUL: return mul_bound(op);
    case KQ_CONCAT: return concat_bound(op);
    default: return largest(op->input[0]); /* values are only moved and compared; between a LOOKUP's knots they stay below 2^24 */
  }
}

/* Whether an accumulator of 32 or 64 bits holds magnitudes up to the bound; it may be wider than necessary. */
static bool holds(uint8_t bits, uint64_t magnitudes) {
  return (bits == 32 && magnitudes >> 31 == 0) || (bits == 64 && magnitudes < KQ_TOO_LARGE);
}

bool kq_proves_widths(const kq_operator *op) {
  if (!op->is_integer) return op->accumulator_bits == 0 && op->total_bits == 0;
  if (op->kind == KQ_CONV_2D || op->kind == KQ_DENSE) {
    const bounds found = weighted_bounds(op);
    return holds(op->accumulator_bits, found.accumulator) && holds(op->total_bits, found.total);
  }
  return holds(op->accumulator_bits, bound(op)) && op->total_bits == 0;
}
