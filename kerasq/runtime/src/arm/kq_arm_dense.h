/* Three outputs of a Dense layer at a time: inputs are widened once for all of them (kq_arm_products.h has the order, here of one
 * pixel), weights are read as they are stored. */
#ifndef KQ_ARM_DENSE_H
#define KQ_ARM_DENSE_H

#include "kq_arm_finish.h"

enum { KQ_ARM_ROWS = 3, KQ_ARM_ROW_STEP = 8, KQ_ARM_STEPS_AT_ONCE = KQ_UNROLL(4, 1) }; /* rows of weights, inputs of a step */

/* The assembly knows the places of the first fields. */
typedef struct kq_arm_dense {
  const uint32_t *x, *x_whole, *x_end; /* widened inputs, the end of whole groups of KQ_ARM_STEPS_AT_ONCE, the end */
  const uint8_t *weights;
  size_t row_bytes; /* from a row to the next; 0 where all three are the same */
  const kq_arm_channel *channel;
  uint8_t *y;
  uint32_t left; /* groups of three outputs */
  void (*finish)(struct kq_arm_dense *);
  int32_t sums[KQ_ARM_ROWS];
  const kq_operator *op;
} kq_arm_dense;

void kq_arm_dense_rows(kq_arm_dense *dense);

void kq_arm_choose_dense_finish(kq_arm_dense *dense);

#endif
