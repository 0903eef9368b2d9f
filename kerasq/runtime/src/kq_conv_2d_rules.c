#include "kq_rules.h"

static kq_status check(kq_operator *op) {
  const kq_tensor *x = op->input[KQ_CONV_2D_INPUT], *kernel = op->input[KQ_CONV_2D_KERNEL];
  const uint32_t groups = op->groups;
  if (x->rank != 4 || kernel->rank != 4) return KQ_BAD_OPERAND;
  if (groups == 0 || x->shape[3] % groups != 0 || kernel->shape[0] % groups != 0) return KQ_BAD_ATTRIBUTE;
  if (kernel->shape[3] != x->shape[3] / groups) return KQ_BAD_OPERAND;
  /* With this an extent fits 32 bits. */
  if (kernel->shape[1] > KQ_CONV_2D_MAX_SIDE || kernel->shape[2] > KQ_CONV_2D_MAX_SIDE) return KQ_BAD_ATTRIBUTE;
  if (!kq_check_zero(op) || (op->zero != 0 && (op->padding[0] | op->padding[1] | op->padding[2] | op->padding[3]) == 0)) {
    return KQ_BAD_ATTRIBUTE;
  }
  op->window[0] = (uint16_t)kernel->shape[1];
  op->window[1] = (uint16_t)kernel->shape[2];
  const kq_status status = kq_check_vectors(op);
  return status == KQ_OK ? kq_check_window(op, kernel->shape[0]) : status;
}

const kq_rules kq_conv_2d_rules = {.check = check, .macs = kq_weighted_macs};
