/* CONV_2D: the walk over output pixels in raster order, shared by the kernels. */
#ifndef KQ_CONV_H
#define KQ_CONV_H

#include "kq_weighted.h"
#include "kq_window.h"

/* The window of one output pixel. */
typedef struct {
  kq_span rows, columns;
  const uint8_t *input; /* of the operator */
  uint8_t *output;      /* stored values of this pixel begin at value number `first` */
  uint32_t first;
} kq_pixel;

/* Calls `compute` for every pixel, row by row: a pixel is finished before the next is begun, so that the output may overlap the
 * part of the input that no later pixel needs. */
void kq_each_pixel(const kq_operator *op, uint8_t *arena, void (*compute)(const kq_operator *, const kq_pixel *));

/* First input channel of the group that an output channel belongs to. */
static inline uint32_t kq_group_channel(const kq_operator *op, uint32_t channel) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  return op->groups == 1 ? 0 : channel / (kernel->shape[0] / op->groups) * kernel->shape[3];
}

#endif
