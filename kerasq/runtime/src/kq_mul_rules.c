#include "kq_rules.h"

/* The second input: of the first one's shape, or one value for each of its channels. */
static kq_status check(kq_operator *op) {
  const kq_tensor *a = op->input[KQ_MUL_FIRST_INPUT], *b = op->input[KQ_MUL_SECOND_INPUT];
  const uint32_t channels = b->shape[b->rank - 1];
  const bool by_channel = b->elements == channels && channels == a->shape[a->rank - 1];
  if (!by_channel && !kq_has_shape_of(a, b)) return KQ_BAD_OPERAND;
  return kq_check_zero(op) ? kq_check_same_shape(op) : KQ_BAD_ATTRIBUTE;
}

/* max|a| max|b| and the rounding half. (An unsigned a less a zero in its range is no larger.) */
static uint64_t bound(const kq_operator *op) {
  const kq_tensor *a = op->input[KQ_MUL_FIRST_INPUT], *b = op->input[KQ_MUL_SECOND_INPUT];
  const uint64_t product = (uint64_t)kq_max_magnitude(a->type) * kq_max_magnitude(b->type);
  return kq_bound_sum(product, kq_rounding_half(a->frac_bits + b->frac_bits, op->output));
}

const kq_rules kq_mul_rules = {.check = check, .bound = bound};
