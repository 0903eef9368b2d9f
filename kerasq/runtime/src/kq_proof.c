/* The accumulator proof (NUMERICS.md section 3): how large intermediate results can become, exactly, and whether the recorded
 * widths hold them. */
#include "kq_arithmetic.h"
#include "kq_verify.h"

/* Values of multipliers and biases, counted for each operator that uses them (kerasq/format/schema.py): with it, and as a kernel is
 * read once, no file makes a verifier read much more than it holds. */
#define MAX_VECTOR_READS ((uint64_t)1 << 26)

enum { SUMS = 16 }; /* channels whose weights are summed before operators look at them */

/* Magnitude of a stored integer, that of -2^31 included. */
static uint32_t magnitude(int32_t a) { return a < 0 ? 0u - (uint32_t)a : (uint32_t)a; }

static uint32_t largest(const kq_tensor *x) { return kq_max_magnitude(x->type); }

/* What requantizing from so many fractional bits adds before it shifts: 2^(s-1), or 0 where nothing is rounded. */
static uint64_t rounding_half(int frac_bits, const kq_tensor *y) {
  const int shift = frac_bits - y->frac_bits;
  return y->type == KQ_FLOAT32 || shift <= 0 ? 0 : kq_bound_shifted(1, shift - 1);
}

/* Sum of |w| over an output channel: below 2^31 weights of at most 2^15. */
static uint64_t weight_sum(const kq_tensor *kernel, uint32_t channel) {
  const uint32_t weights = kernel->elements / kernel->shape[0];
  if (kernel->type == KQ_SIGN) return weights;
  const kq_reader read = kq_reader_of(kernel->type);
  uint64_t total = 0;
  for (uint32_t i = 0; i < weights; ++i) total += magnitude(read(kernel->data, channel * weights + i));
  return total;
}

static uint32_t vector_value(const kq_tensor *tensor, uint32_t channel, uint32_t absent) {
  return tensor == NULL ? absent : magnitude(kq_stored(tensor->type, tensor->data, channel));
}

/* A = (sum of |w|) * max|x|. */
static uint64_t accumulator_bound(const kq_operator *op, uint64_t weights) {
  return kq_bound_product(weights, largest(op->input[0]));
}

/* T = A * |m| + |b| * 2^(n_t - n_b) + max|r| * 2^(n_t - n_r) + 2^(s-1) of an output channel. */
static uint64_t total_bound(const kq_operator *op, uint32_t channel, uint64_t weights) {
  const kq_tensor *multiplier = op->input[2], *bias = op->input[3], *addend = op->input[4];
  const int frac_bits = op->input[0]->frac_bits + op->input[1]->frac_bits + (multiplier == NULL ? 0 : multiplier->frac_bits);
  uint64_t total = kq_bound_product(accumulator_bound(op, weights), vector_value(multiplier, channel, 1));
  if (bias != NULL) {
    total = kq_bound_sum(total, kq_bound_shifted(vector_value(bias, channel, 0), frac_bits - bias->frac_bits));
  }
  if (addend != NULL) total = kq_bound_sum(total, kq_bound_shifted(largest(addend), frac_bits - addend->frac_bits));
  return kq_bound_sum(total, rounding_half(frac_bits, op->output));
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

/* ---- Kernels, each read once, whatever the number of operators that use it ---- */

static bool is_weighted(const kq_operator *op) { return op->kind == KQ_CONV_2D || op->kind == KQ_DENSE; }

/* Of an operator that has neither, all channels with the same sum of weights have the same bound. */
static bool has_vectors(const kq_operator *op) { return op->input[2] != NULL || op->input[3] != NULL; }

/* Operators that share a kernel, as chains: the kernel's `first` is the number of the first that has a multiplier or a bias, its
 * `last` of the first that has none; `packed`, which is nobody's yet, leads to the next. */
static void chain_up(kq_network *network) {
  for (uint32_t i = network->operator_count; i-- > 0;) {
    kq_operator *op = &network->operators[i];
    if (!is_weighted(op) || !op->is_integer) continue;
    kq_tensor *kernel = &network->tensors[op->input[1] - network->tensors];
    int32_t *head = has_vectors(op) ? &kernel->first : &kernel->last;
    op->packed = *head < 0 ? NULL : &network->operators[*head];
    *head = (int32_t)i;
  }
}

static const kq_operator *chain(const kq_network *network, int32_t head) { return head < 0 ? NULL : &network->operators[head]; }

static bool holds_totals(const kq_operator *op, const uint64_t *sums, uint32_t channel, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    if (!holds(op->total_bits, total_bound(op, channel + i, sums[i]))) return false;
  }
  return true;
}

/* The first operator of those that share a kernel whose widths are too small; NULL where there is none. */
static const kq_operator *overflowing(const kq_network *network, const kq_tensor *kernel) {
  const kq_operator *with = chain(network, kernel->first), *without = chain(network, kernel->last);
  uint64_t largest_sum = 0, sums[SUMS];
  for (uint32_t channel = 0; channel < kernel->shape[0]; channel += SUMS) {
    const uint32_t left = kernel->shape[0] - channel, count = left < SUMS ? left : SUMS;
    for (uint32_t i = 0; i < count; ++i) {
      sums[i] = weight_sum(kernel, channel + i);
      if (sums[i] > largest_sum) largest_sum = sums[i];
    }
    for (const kq_operator *op = with; op != NULL; op = op->packed) {
      if (!holds_totals(op, sums, channel, count)) return op;
    }
  }
  for (const kq_operator *op = with; op != NULL; op = op->packed) {
    if (!holds(op->accumulator_bits, accumulator_bound(op, largest_sum))) return op;
  }
  for (const kq_operator *op = without; op != NULL; op = op->packed) {
    if (!holds(op->accumulator_bits, accumulator_bound(op, largest_sum)) ||
        !holds(op->total_bits, total_bound(op, 0, largest_sum))) {
      return op;
    }
  }
  return NULL;
}

static bool reads_too_much(const kq_network *network) {
  uint64_t values = 0;
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    const kq_operator *op = &network->operators[i];
    for (uint32_t k = 2; k < 4 && is_weighted(op); ++k) values += op->input[k] == NULL ? 0 : op->input[k]->elements;
  }
  return values > MAX_VECTOR_READS;
}

/* Of an operator without weights, or that computes in float. */
static bool proves_widths(const kq_operator *op) {
  if (!op->is_integer) return op->accumulator_bits == 0 && op->total_bits == 0;
  return is_weighted(op) || (holds(op->accumulator_bits, bound(op)) && op->total_bits == 0);
}

static kq_status fail_at(const kq_network *network, const kq_operator *op, kq_error *error) {
  return kq_fail(error, KQ_OVERFLOW, (int32_t)(op - network->operators), (int32_t)(op->output - network->tensors));
}

kq_status kq_prove_widths(kq_network *network, kq_error *error) {
  if (reads_too_much(network)) return kq_fail(error, KQ_BAD_COUNT, -1, -1);
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    if (!proves_widths(&network->operators[i])) return fail_at(network, &network->operators[i], error);
  }
  for (uint32_t i = 0; i < network->tensor_count; ++i) {
    kq_tensor *tensor = &network->tensors[i];
    if (tensor->data != NULL) tensor->first = tensor->last = -1;
  }
  chain_up(network);
  for (uint32_t i = 0; i < network->tensor_count; ++i) {
    const kq_tensor *kernel = &network->tensors[i];
    if (kernel->data == NULL || (kernel->first < 0 && kernel->last < 0)) continue;
    const kq_operator *op = overflowing(network, kernel);
    if (op != NULL) return fail_at(network, op, error);
  }
  for (uint32_t i = 0; i < network->operator_count; ++i) network->operators[i].packed = NULL;
  return KQ_OK;
}
