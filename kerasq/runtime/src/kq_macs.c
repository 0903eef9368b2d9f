#include "kq_internal.h"

uint64_t kq_macs(const kq_operator *op) {
  const kq_tensor *kernel = op->input[1];
  if (op->kind == KQ_DENSE) return kernel->elements;
  if (op->kind != KQ_CONV_2D) return 0;
  return (uint64_t)op->output->elements * (kernel->elements / kernel->shape[0]);
}
