#include "kq_rules.h"

static kq_status check(kq_operator *op) {
  const kq_tensor *x = op->input[KQ_RESHAPE_INPUT];
  if (!kq_has_format_of(x, op->output)) return KQ_BAD_OPERAND;
  return x->elements == op->output->elements ? KQ_OK : KQ_BAD_OUTPUT;
}

const kq_rules kq_reshape_rules = {.check = check, .bound = kq_moved_bound};
