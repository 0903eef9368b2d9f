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

/* Whether taps that miss the input add to the sums of a pixel. */
static inline bool kq_has_absent(const kq_operator *op, const kq_pixel *pixel) {
  const kq_span rows = pixel->rows, columns = pixel->columns;
  return op->zero != 0 && (rows.end - rows.begin != op->window[0] || columns.end - columns.begin != op->window[1]);
}

/* kq_conv_zero.c: what taps of an output channel that miss the input add to its sum, the zero times their weights. */
int64_t kq_absent_sum(const kq_operator *op, const kq_pixel *pixel, const kq_rows *weights, uint32_t channel);

#endif
