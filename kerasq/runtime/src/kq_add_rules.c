#include "kq_rules.h"

static kq_status check(kq_operator *op) {
  const kq_tensor *a = op->input[KQ_ADD_FIRST_INPUT], *b = op->input[KQ_ADD_SECOND_INPUT];
  if (!kq_has_shape_of(a, b)) return KQ_BAD_OPERAND;
  if (op->is_integer && kq_distance(a->frac_bits, b->frac_bits) > KQ_ADD_MAX_DISTANCE) return KQ_BAD_OPERAND;
  return kq_check_same_shape(op);
}

/* max|a| and max|b|, shifted to the finer fractional bits (at most 32 places), and the rounding half. */
static uint64_t bound(const kq_operator *op) {
  const kq_tensor *a = op->input[KQ_ADD_FIRST_INPUT], *b = op->input[KQ_ADD_SECOND_INPUT];
  const int finer = a->frac_bits > b->frac_bits ? a->frac_bits : b->frac_bits;
  const uint64_t largest_a = kq_bound_shifted(kq_max_magnitude(a->type), finer - a->frac_bits);
  const uint64_t largest_b = kq_bound_shifted(kq_max_magnitude(b->type), finer - b->frac_bits);
  return kq_bound_sum(kq_bound_sum(largest_a, largest_b), kq_rounding_half(finer, op->output));
}

const kq_rules kq_add_rules = {.check = check, .bound = bound};
