#include "kq_rules.h"

static kq_status check(kq_operator *op) {
  const kq_tensor *kernel = op->input[KQ_DENSE_KERNEL];
  if (kernel->rank != 2 || kernel->shape[1] != op->input[KQ_DENSE_INPUT]->elements) return KQ_BAD_OPERAND;
  const kq_status status = kq_check_vectors(op);
  if (status != KQ_OK) return status;
  return op->output->rank == 2 && op->output->shape[1] == kernel->shape[0] ? KQ_OK : KQ_BAD_OUTPUT;
}

const kq_rules kq_dense_rules = {.check = check, .macs = kq_weighted_macs};
