/* Dense layers of many outputs, three at a time: as kq_arm_dense.h, but results are made from multipliers and biases as they are
 * stored. A table of them pays off for pixels, not for values that are computed once. */
#ifndef KQ_ARM_DENSE_ROWS_H
#define KQ_ARM_DENSE_ROWS_H

#include "kq_arm_dense.h"

enum { KQ_ARM_ROW_STEPS_AT_ONCE = KQ_UNROLL(8, 1) };

/* The assembly knows the places of all fields. Steps are those from three outputs to the next three. */
typedef struct kq_arm_dense_block {
  const uint32_t *x, *x_whole, *x_end; /* widened inputs, the end of whole groups of KQ_ARM_ROW_STEPS_AT_ONCE, the end */
  const uint8_t *weights;
  size_t row_bytes;
  uint32_t start_low; /* kq_arm_finish.h, without the bias */
  int32_t start_high;
  void (*finish)(struct kq_arm_dense_block *); /* of biases of 16 or 32 bits */
  const uint8_t *multiplier, *bias;
  uint8_t *y;
  int32_t unit; /* what biases are multiplied by */
  int32_t left; /* places that multipliers are shifted by */
  size_t multiplier_step, bias_step;
  uint8_t *y_end;
  int32_t sums[KQ_ARM_ROWS];
} kq_arm_dense_block;

/* At least three outputs. */
void kq_arm_dense_many_rows(kq_arm_dense_block *block);

void kq_arm_finish_16(kq_arm_dense_block *block);
void kq_arm_finish_32(kq_arm_dense_block *block);

#endif
