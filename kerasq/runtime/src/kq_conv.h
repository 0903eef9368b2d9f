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

/* t = sum * m + b * 2^(n_t - n_b) + r * 2^(n_t - n_r) of a channel of a pixel. The addend is read before the output value of the
 * same place is written, and may lie there. */
static inline int64_t kq_pixel_total(const kq_operator *op, const kq_pixel *pixel, uint32_t channel, int64_t sum) {
  const int64_t total = kq_total(op, channel, sum);
  if (pixel->addend == NULL) return total;
  const kq_tensor *r = op->input[KQ_ADDEND];
  return total + kq_stored(r->type, pixel->addend, pixel->first + channel) * ((int64_t)1 << (kq_total_frac_bits(op) - r->frac_bits));
}

#endif
