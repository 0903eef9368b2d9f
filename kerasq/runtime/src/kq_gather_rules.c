#include "kq_rules.h"

static kq_status check(kq_operator *op) {
  const kq_tensor *x = op->input[KQ_GATHER_INPUT], *table = op->input[KQ_GATHER_TABLE];
  if (table->rank != 2 || table->shape[0] > KQ_GATHER_MAX_ROWS) return KQ_BAD_OPERAND;
  if (x->type != KQ_FLOAT32 && x->frac_bits != 0) return KQ_BAD_OPERAND;
  return op->output->elements == (uint64_t)x->elements * table->shape[1] ? KQ_OK : KQ_BAD_OUTPUT;
}

/* max|t| of the table and the rounding half. */
static uint64_t bound(const kq_operator *op) { return kq_requantized_bound(op, op->input[KQ_GATHER_TABLE]); }

const kq_rules kq_gather_rules = {.check = check, .bound = bound};
