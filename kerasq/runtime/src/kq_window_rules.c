#include "kq_rules.h"

/* The window along one axis (0: rows, 1: columns), and the output's size along it. */
static kq_status check_axis(const kq_operator *op, uint32_t axis) {
  const uint32_t size = op->window[axis], stride = op->strides[axis], dilation = op->dilations[axis];
  const uint32_t before = op->padding[2 * axis], after = op->padding[2 * axis + 1];
  if (size == 0 || stride == 0 || dilation == 0) return KQ_BAD_ATTRIBUTE;
  const uint32_t extent = (size - 1) * dilation + 1;
  if (before >= extent || after >= extent) return KQ_BAD_ATTRIBUTE; /* every window has a valid tap */
  const uint32_t span = op->input[0]->shape[1 + axis] + before + after;
  return span >= extent && (span - extent) / stride + 1 == op->output->shape[1 + axis] ? KQ_OK : KQ_BAD_OUTPUT;
}

kq_status kq_check_window(const kq_operator *op, uint32_t channels) {
  if (op->input[0]->rank != 4) return KQ_BAD_OPERAND;
  for (uint32_t axis = 0; axis < 2; ++axis) {
    const kq_status status = check_axis(op, axis);
    if (status != KQ_OK) return status;
  }
  return op->output->rank == 4 && op->output->shape[3] == channels ? KQ_OK : KQ_BAD_OUTPUT;
}
