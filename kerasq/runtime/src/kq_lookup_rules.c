#include "kq_rules.h"

static kq_status check(kq_operator *op) {
  const kq_tensor *x = op->input[KQ_LOOKUP_INPUT], *table = op->input[KQ_LOOKUP_TABLE];
  const uint32_t entries = kq_bits(x->type) == 8 ? KQ_LOOKUP_ENTRIES_8 : KQ_LOOKUP_ENTRIES_16;
  if (x->type == KQ_FLOAT32 || !kq_has_format_of(table, op->output)) return KQ_BAD_OPERAND;
  if (table->rank != 1 || table->shape[0] != entries) return KQ_BAD_OPERAND;
  return kq_check_same_shape(op);
}

/* max|y|; between knots their difference, of up to 2 max|y|, by the low 7 bits, and the half. */
static uint64_t bound(const kq_operator *op) {
  return kq_bound_shifted(kq_max_magnitude(op->output->type), kq_bits(op->input[KQ_LOOKUP_INPUT]->type) == 8 ? 0 : 8);
}

const kq_rules kq_lookup_rules = {.check = check, .bound = bound};
