/* Where the window of a convolution or a pooling meets its input. */
#ifndef KQ_WINDOW_H
#define KQ_WINDOW_H

#include "kq_arithmetic.h"

/* Along one axis, for one output position: taps begin .. end - 1 lie on input elements origin + tap * dilation. */
typedef struct {
  int32_t origin;
  uint32_t begin, end;
} kq_span;

/* `axis` is 0 for rows, 1 for columns. Paddings are smaller than the window, so that origin < size; with dilations a span may be
 * empty. */
static inline kq_span kq_look(const kq_operator *op, unsigned axis, uint32_t position) {
  const int32_t size = (int32_t)op->input[0]->shape[1 + axis], dilation = op->dilations[axis];
  const int32_t origin = (int32_t)position * op->strides[axis] - op->padding[2 * axis];
  const int32_t end = (size - origin + dilation - 1) / dilation;
  kq_span span;
  span.origin = origin;
  span.begin = origin < 0 ? (uint32_t)((-origin + dilation - 1) / dilation) : 0;
  span.end = end < op->window[axis] ? (uint32_t)end : op->window[axis];
  return span;
}

/* Input row or column of a tap. */
static inline uint32_t kq_tap(const kq_operator *op, unsigned axis, kq_span span, uint32_t tap) {
  return (uint32_t)(span.origin + (int32_t)tap * op->dilations[axis]);
}

/* The window of one output pixel. */
typedef struct {
  kq_span rows, columns;
  const uint8_t *input; /* of the operator */
  uint8_t *output;      /* stored values of this pixel begin at value number `first` */
  uint32_t first;
  kq_reader read;     /* of the input's values; NULL for FLOAT32 */
  kq_writer write;    /* of the output's, where it is fixed */
  const void *shared; /* what the kernel prepared for all pixels */
} kq_pixel;

/* Calls `compute` for every pixel, row by row: a pixel is finished before the next is begun, so that the output may overlap the
 * part of the input that no later pixel needs. */
void kq_each_pixel(const kq_operator *op, uint8_t *arena, void (*compute)(const kq_operator *, const kq_pixel *),
                   const void *shared);

#endif
