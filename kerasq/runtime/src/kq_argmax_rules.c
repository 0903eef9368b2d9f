#include "kq_rules.h"

/* Places that the output tells apart; 0: it has no format that an argmax may have. */
static uint32_t places(const kq_tensor *y) {
  if (y->type == KQ_FLOAT32) return KQ_ARGMAX_MAX_CLASSES;
  if (y->frac_bits != 0 || (y->type != KQ_UFIXED8 && y->type != KQ_UFIXED16)) return 0;
  return (uint32_t)kq_max_int(y->type) + 1;
}

static kq_status check(kq_operator *op) {
  const kq_tensor *x = op->input[KQ_ARGMAX_INPUT], *y = op->output;
  if (x->rank < 2 || x->shape[x->rank - 1] > places(y)) return KQ_BAD_OPERAND;
  return y->elements == x->elements / x->shape[x->rank - 1] ? KQ_OK : KQ_BAD_OUTPUT;
}

const kq_rules kq_argmax_rules = {.check = check, .bound = kq_moved_bound};
