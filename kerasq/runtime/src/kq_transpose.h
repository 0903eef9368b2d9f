/* TRANSPOSE: what its kernels share. */
#ifndef KQ_TRANSPOSE_H
#define KQ_TRANSPOSE_H

#include "kq_arithmetic.h"

/* With x as (A, B, C, D), B and C of the window and D of the groups: y[a, c, b, d] = x[a, b, c, d], whatever the values are. D of
 * them take `run` bytes: where that is a constant, so is what is copied at a time. */
static inline void kq_swap_runs(const kq_operator *op, uint8_t *arena, size_t run) {
  const uint8_t *x = kq_input_data(op, 0, arena);
  uint8_t *y = kq_output_data(op, arena);
  const uint32_t rows = op->window[0], columns = op->window[1];
  const size_t image = run * rows * columns;
  for (size_t first = 0; first < op->output->bytes; first += image) {
    for (uint32_t c = 0; c < columns; ++c) {
      for (uint32_t b = 0; b < rows; ++b, y += run) memcpy(y, x + first + ((size_t)b * columns + c) * run, run);
    }
  }
}

/* Bytes of D values. */
static inline size_t kq_run_of(const kq_operator *op) { return (size_t)op->groups * kq_value_bytes(op->output->type); }

static inline void kq_swap_axes(const kq_operator *op, uint8_t *arena) { kq_swap_runs(op, arena, kq_run_of(op)); }

#endif
