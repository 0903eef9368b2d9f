#include "kq_arm_depthwise.h"

bool kq_arm_is_depthwise(const kq_operator *op) {
  const kq_tensor *x = op->input[KQ_X], *y = op->output;
  const uint32_t channels = x->shape[3];
  const uint32_t ahead = x->offset - y->offset; /* no output lies above an input that it overlaps */
  const bool apart = x->offset < y->offset || ahead >= y->bytes;
  return op->groups == channels && y->shape[3] == channels && channels % KQ_ARM_QUAD == 0 && op->input[KQ_ADDEND] == NULL &&
         kq_arm_can_finish(op) && (apart || ahead % channels == 0);
}

bool kq_arm_is_depthwise_3x3(const kq_operator *op) {
  for (unsigned axis = 0; axis < 2; ++axis) {
    if (op->window[axis] != 3 || op->dilations[axis] != 1) return false;
  }
  return op->padding[0] <= 1 && op->padding[1] <= 1;
}
