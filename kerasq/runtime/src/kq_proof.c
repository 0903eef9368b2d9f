/* The accumulator proof (NUMERICS.md section 3): how large intermediate results can become, exactly, says the row of each kind
 * (kq_rules.h); whether the recorded widths hold them, is asked here. */
#include "kq_rules.h"

enum { SUMS = 16 }; /* channels whose weights are summed before operators look at them */

/* Sum of |w| over an output channel: below 2^31 weights of at most 2^15. */
static uint64_t weight_sum(const kq_tensor *kernel, uint32_t channel) {
  const uint32_t weights = kernel->elements / kernel->shape[0];
  if (kernel->type == KQ_SIGN) return weights;
  const bool in_pairs = kernel->layout == KQ_LAYOUT_PAIRS; /* then every other value from the beginning of the pair, or the next */
  const uint32_t place = in_pairs ? channel / 2 * 2 * weights + channel % 2 : channel * weights;
  const kq_reader read = kq_reader_of(kernel->type);
  uint64_t total = 0;
  for (uint32_t i = 0; i < weights; ++i) total += kq_magnitude(read(kernel->data, place + (in_pairs ? 2 * i : i)));
  return total;
}

/* Whether an accumulator of 32 or 64 bits holds magnitudes up to the bound; it may be wider than necessary. */
static bool holds(uint8_t bits, uint64_t magnitudes) {
  return (bits == 32 && magnitudes >> 31 == 0) || (bits == 64 && magnitudes < KQ_TOO_LARGE);
}

/* ---- Kernels, each read once, whatever the number of operators that use it ---- */

static bool is_weighted(const kq_operator *op) { return (kq_signatures[op->kind].attributes & KQ_USES_TOTAL_BITS) != 0; }

/* Of an operator that has neither, all channels with the same sum of weights have the same bound. */
static bool has_vectors(const kq_operator *op) { return op->input[KQ_MULTIPLIER] != NULL || op->input[KQ_BIAS] != NULL; }

/* Operators that share a kernel, as chains: the kernel's `first` is the number of the first that has a multiplier or a bias, its
 * `last` of the first that has none; `packed`, which is nobody's yet, leads to the next. */
static void chain_up(kq_network *network) {
  for (uint32_t i = network->operator_count; i-- > 0;) {
    kq_operator *op = &network->operators[i];
    if (!is_weighted(op) || !op->is_integer) continue;
    kq_tensor *kernel = &network->tensors[op->input[KQ_KERNEL] - network->tensors];
    int32_t *head = has_vectors(op) ? &kernel->first : &kernel->last;
    op->packed = *head < 0 ? NULL : &network->operators[*head];
    *head = (int32_t)i;
  }
}

static const kq_operator *chain(const kq_network *network, int32_t head) { return head < 0 ? NULL : &network->operators[head]; }

static bool holds_totals(const kq_operator *op, const uint64_t *sums, uint32_t channel, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    if (!holds(op->total_bits, kq_total_bound(op, channel + i, sums[i]))) return false;
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
    if (!holds(op->accumulator_bits, kq_accumulator_bound(op, largest_sum))) return op;
  }
  for (const kq_operator *op = without; op != NULL; op = op->packed) {
    if (!holds(op->accumulator_bits, kq_accumulator_bound(op, largest_sum)) ||
        !holds(op->total_bits, kq_total_bound(op, 0, largest_sum))) {
      return op;
    }
  }
  return NULL;
}

/* Whether vectors have too many values, counted for each operator that uses them: with that, and as a kernel is read once, no
 * file makes a verifier read much more than it holds. */
static bool reads_too_much(const kq_network *network) {
  uint64_t values = 0;
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    const kq_operator *op = &network->operators[i];
    for (uint32_t k = 0; k < op->inputs; ++k) {
      const bool is_vector = (kq_signatures[op->kind].operands[k].flags & KQ_OPERAND_PER_CHANNEL) != 0;
      if (is_vector && op->input[k] != NULL) values += op->input[k]->elements;
    }
  }
  return values > KQ_MAX_VECTOR_READS;
}

/* Of an operator without weights, or that computes in float. */
static bool proves_widths(const kq_operator *op) {
  if (!op->is_integer) return op->accumulator_bits == 0 && op->total_bits == 0;
  return is_weighted(op) || (holds(op->accumulator_bits, kq_rules_of(op->kind)->bound(op)) && op->total_bits == 0);
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
