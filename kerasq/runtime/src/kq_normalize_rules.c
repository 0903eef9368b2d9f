#include "kq_normalize.h"
#include "kq_rules.h"

/* Neither negative nor, as load_constant refuses those, infinite or NaN. -0.0 is a zero. */
static bool is_epsilon(const kq_tensor *epsilon) {
  if (epsilon->rank != 1 || epsilon->elements != 1) return false;
  return epsilon->type == KQ_FLOAT32 ? kq_u32(epsilon->data) <= 0x80000000u : kq_u16(epsilon->data) <= INT16_MAX;
}

/* Whether both are fixed. */
static bool is_integer(const kq_operator *op) { return op->output->type != KQ_FLOAT32; }

static kq_status check(kq_operator *op) {
  const kq_tensor *x = op->input[KQ_NORMALIZE_INPUT], *y = op->output;
  const uint32_t pixels = (uint32_t)op->window[0] * op->window[1], channels = x->shape[x->rank - 1];
  if (!is_epsilon(op->input[KQ_NORMALIZE_EPSILON])) return KQ_BAD_OPERAND;
  if (pixels == 0 || op->groups == 0 || x->elements / channels % pixels != 0 || channels % op->groups != 0) return KQ_BAD_ATTRIBUTE;
  if (kq_runs_of(op).count > KQ_NORMALIZE_MAX_VALUES) return KQ_BAD_ATTRIBUTE;
  if (op->is_integer && (y->frac_bits < 0 || y->frac_bits > KQ_NORMALIZE_MAX_FRAC_BITS)) return KQ_BAD_OPERAND;
  return kq_check_same_shape(op);
}

/* The largest of e n^2; (n m)^2 + E, with m half the range where the mean is subtracted, as n Q - S^2 is n^2 times the variance, else
 * max|x|; and n times the range times a reciprocal of 30 bits, with its half. */
static uint64_t bound(const kq_operator *op) {
  const uint8_t type = op->input[KQ_NORMALIZE_INPUT]->type;
  const uint32_t values = kq_runs_of(op).count, range = 1u << kq_bits(type);
  const uint32_t largest = op->is_centered ? range / 2 : kq_max_magnitude(type);
  const uint64_t epsilon = kq_epsilon_product(op, values); /* at most 2^55 */
  const int places = kq_epsilon_places(op);
  const uint64_t added = places < 0 ? kq_bound_shifted(epsilon, -places) : kq_rounded(epsilon, places);
  const uint64_t squares = kq_bound_product(kq_bound_product(kq_bound_product(largest, largest), values), values);
  const uint64_t product = kq_bound_sum(kq_bound_shifted((uint64_t)values * range, 30), (uint64_t)1 << (60 - op->output->frac_bits));
  const uint64_t root = kq_bound_sum(squares, added);
  return root > product ? root > epsilon ? root : epsilon : product > epsilon ? product : epsilon;
}

const kq_rules kq_normalize_rules = {.check = check, .is_integer = is_integer, .bound = bound};
