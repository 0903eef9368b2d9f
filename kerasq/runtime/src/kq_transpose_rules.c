#include "kq_rules.h"

static kq_status check(kq_operator *op) {
  const kq_tensor *x = op->input[KQ_TRANSPOSE_INPUT];
  const uint32_t sides = (uint32_t)op->window[0] * op->window[1];
  if (!kq_has_format_of(x, op->output)) return KQ_BAD_OPERAND;
  if (sides == 0 || op->groups == 0 || x->elements % sides != 0 || x->elements / sides % op->groups != 0) return KQ_BAD_ATTRIBUTE;
  return x->elements == op->output->elements ? KQ_OK : KQ_BAD_OUTPUT;
}

const kq_rules kq_transpose_rules = {.check = check, .bound = kq_moved_bound};
