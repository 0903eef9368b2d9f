#include "kq_arm_depthwise.h"

bool kq_arm_is_depthwise(const kq_operator *op) {
  const kq_tensor *x = op->input[KQ_X], *y = op->output;
  const uint32_t channels = x->shape[3];
  const int64_t ahead = (int64_t)x->offset - y->offset;
  const bool apart = ahead < 0 || ahead >= y->bytes;
  return op->groups == channels && y->shape[3] == channels && channels % KQ_ARM_QUAD == 0 && op->input[KQ_ADDEND] == NULL &&
         kq_arm_can_finish(op) && (apart || ahead % channels == 0);
}

bool kq_arm_is_depthwise_3x3(const kq_operator *op) {
  for (unsigned axis = 0; axis < 2; ++axis) {
    if (op->window[axis] != 3 || op->dilations[axis] != 1) return false;
  }
  return op->padding[0] <= 1 && op->padding[1] <= 1;
}

uint32_t kq_arm_finish_quad(const kq_operator *op, const kq_arm_channel channels[KQ_ARM_QUAD], const int32_t sums[KQ_ARM_QUAD]) {
  uint32_t word = 0;
  for (unsigned i = 0; i < KQ_ARM_QUAD; ++i) {
    word |= (uint32_t)kq_arm_finish(&channels[i], sums[i], 0, op->low.fixed, op->high.fixed) << (8 * i);
  }
  return word;
}
