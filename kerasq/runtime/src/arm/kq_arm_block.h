/* Several output pixels of a convolution at a time: where their windows begin, and windows copied together. */
#ifndef KQ_ARM_BLOCK_H
#define KQ_ARM_BLOCK_H

#include "../kq_conv.h"
#include "kq_arm_finish.h"

/* What the kernels of this folder take at most: scratch memory, and constants to look at when a network is prepared. Larger
 * operators have the portable kernels. */
#define KQ_ARM_MOST_SCRATCH ((size_t)1 << 15)
#define KQ_ARM_MOST_WEIGHTS ((uint32_t)1 << 24)

/* Whether blocks of so many pixels may be finished channel by channel. They write values of later pixels before they read the
 * addends of earlier ones: that is safe where both lie apart, where an addend lies under its own output, and where it lies a block
 * ahead. */
bool kq_arm_addend_allows_blocks(const kq_operator *op, uint32_t pixels);

/* Input row and column under the first tap of a window; may be negative. */
typedef struct {
  int32_t row, column;
} kq_arm_origin;

/* An output pixel, and the origin of its window. */
typedef struct {
  uint32_t column;
  kq_arm_origin at;
  bool is_pointwise; /* windows are pixels, side by side as the outputs are */
} kq_arm_cursor;

kq_arm_cursor kq_arm_first_origin(const kq_operator *op);

/* The origins of the next `count` pixels, and the last of them again up to `size`. Returns whether all windows lie inside the
 * input; false where code is to be little. */
bool kq_arm_next_origins(const kq_operator *op, kq_arm_cursor *cursor, uint32_t count, kq_arm_origin at[], uint32_t size);

/* Copies a window, all channels of all taps side by side: the zero of the operator for what lies beside the input, and 0 up to
 * `bytes`. */
void kq_arm_copy_window(const kq_operator *op, const uint8_t *input, kq_arm_origin at, uint8_t *to, size_t bytes);

/* How many of the pixels that are left are computed next. Those at the end of a map, fewer than `size`, need memory of their own for
 * the results; with an addend, of which there is none beyond the last pixel, they go one by one. */
static inline uint32_t kq_arm_block_size(const kq_operator *op, uint32_t left, uint32_t size) {
  return left >= size ? size : op->input[KQ_ADDEND] == NULL ? left : 1;
}

static inline size_t kq_arm_results_bytes(const kq_operator *op, uint32_t size) {
  const uint32_t outputs = op->output->shape[3], last = op->output->elements / outputs % size;
  return last > 1 && op->input[KQ_ADDEND] == NULL ? (size_t)size * outputs : 0;
}

#endif
