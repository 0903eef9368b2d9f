#include "kq_normalize.h"
#include "kq_rules.h"

/* Whether both are fixed. */
static bool is_integer(const kq_operator *op) { return op->output->type != KQ_FLOAT32; }

static kq_status check(kq_operator *op) {
  const kq_tensor *x = op->input[KQ_NORMALIZE_INPUT], *epsilon = op->input[KQ_NORMALIZE_EPSILON], *y = op->output;
  const uint32_t pixels = (uint32_t)op->window[0] * op->window[1], channels = x->shape[x->rank - 1], groups = op->groups;
  const uint32_t most = (uint32_t)KQ_NORMALIZE_MAX_VALUES >> (kq_bits(x->type) == 16 ? 4 : 0) >> (op->is_centered ? 0 : 1);
  if (epsilon->rank != 1 || epsilon->elements != 1 || epsilon->data[epsilon->bytes - 1] >> 7 != 0) return KQ_BAD_OPERAND;
  if (pixels == 0 || groups == 0 || x->elements / channels % pixels != 0 || channels % groups != 0 ||
      pixels * (channels / groups) > most) {
    return KQ_BAD_ATTRIBUTE;
  }
  if (op->is_integer && (uint32_t)y->frac_bits > KQ_NORMALIZE_MAX_FRAC_BITS) return KQ_BAD_OPERAND;
  return kq_check_same_shape(op);
}

/* 2^62, which nothing else reaches (kerasq/ops/normalize.py), and the epsilon, shifted left where it is. */
static uint64_t bound(const kq_operator *op) {
  const kq_tensor *x = op->input[KQ_NORMALIZE_INPUT];
  const uint32_t values = (uint32_t)op->window[0] * op->window[1] * (x->shape[x->rank - 1] / op->groups);
  const int places = kq_epsilon_places(op);
  const uint64_t epsilon = kq_epsilon_product(op, values); /* at most 2^55 */
  return kq_bound_sum((uint64_t)1 << 62, places < 0 ? kq_bound_shifted(epsilon, -places) : epsilon);
}

const kq_rules kq_normalize_rules = {.check = check, .is_integer = is_integer, .bound = bound};
