/* CONV_2D: what its kernels share. */
#ifndef KQ_CONV_H
#define KQ_CONV_H

#include "kq_weighted.h"
#include "kq_window.h"

/* First input channel of the group that an output channel belongs to. */
static inline uint32_t kq_group_channel(const kq_operator *op, uint32_t channel) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  return op->groups == 1 ? 0 : channel / (kernel->shape[0] / op->groups) * kernel->shape[3];
}

#endif
