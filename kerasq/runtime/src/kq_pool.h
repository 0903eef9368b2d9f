/* Pooling: the valid taps of a window. */
#ifndef KQ_POOL_H
#define KQ_POOL_H

#include "kq_window.h"

/* Number of the stored input value under a tap, channel 0. */
static inline uint32_t kq_pool_place(const kq_operator *op, const kq_pixel *pixel, uint32_t row, uint32_t column) {
  const uint32_t *shape = op->input[0]->shape;
  return (kq_tap(op, 0, pixel->rows, row) * shape[2] + kq_tap(op, 1, pixel->columns, column)) * shape[3];
}

/* Number of valid taps. */
static inline uint32_t kq_valid_taps(const kq_pixel *pixel) {
  return (pixel->rows.end - pixel->rows.begin) * (pixel->columns.end - pixel->columns.begin);
}

#endif
