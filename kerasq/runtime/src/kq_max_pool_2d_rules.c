#include "kq_rules.h"

static kq_status check(kq_operator *op) {
  const kq_tensor *x = op->input[KQ_MAX_POOL_2D_INPUT];
  return kq_has_format_of(x, op->output) ? kq_check_window(op, x->shape[3]) : KQ_BAD_OPERAND;
}

const kq_rules kq_max_pool_2d_rules = {.check = check, .bound = kq_moved_bound};
