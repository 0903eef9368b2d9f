/* Pooling: the walk over output pixels in raster order, and over the valid taps of each window. */
#ifndef KQ_POOL_H
#define KQ_POOL_H

#include "kq_arithmetic.h"
#include "kq_window.h"

typedef struct {
  kq_span rows, columns;
  const uint8_t *input;
  uint8_t *output;
  uint32_t first; /* stored values of this pixel begin at this number of the output */
} kq_pooled;

/* Calls `compute` for every output pixel, row by row; see kq_each_pixel. */
void kq_each_pooled(const kq_operator *op, uint8_t *arena, void (*compute)(const kq_operator *, const kq_pooled *));

/* Number of the stored input value under a tap, channel 0. */
static inline uint32_t kq_pool_place(const kq_operator *op, const kq_pooled *pooled, uint32_t row, uint32_t column) {
  const uint32_t *shape = op->input[0]->shape;
  return (kq_tap(op, 0, pooled->rows, row) * shape[2] + kq_tap(op, 1, pooled->columns, column)) * shape[3];
}

/* Number of valid taps. */
static inline uint32_t kq_valid_taps(const kq_pooled *pooled) {
  return (pooled->rows.end - pooled->rows.begin) * (pooled->columns.end - pooled->columns.begin);
}

#endif
