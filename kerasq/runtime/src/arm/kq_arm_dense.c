#include "kq_arm_dense.h"

#ifdef KQ_ARM_ASSEMBLY

/* Places in kq_arm_dense, all of four bytes. */
#define CHANNEL "#20" /* and y */
#define LEFT "#28"
typedef char places_are_right[offsetof(kq_arm_dense, row_bytes) == 16 && offsetof(kq_arm_dense, left) == 28 ? 1 : -1];

#define RESULT(sum)                          \
  "ldmia lr!, {r8, r9, r10}\n"               \
  "smlal r9, r10, " sum ", r8\n"             \
  "usat r10, #8, r10\n"                      \
  "strb r10, [r7], #1\n"

KQ_NAKED void kq_arm_dense_rows(kq_arm_dense *dense KQ_UNUSED) {
  __asm__(KQ_ARM_DENSE_SUMS(KQ_TEXT(KQ_UNROLL(4, 1)))
          "ldrd lr, r7, [r6, " CHANNEL "]\n"
          RESULT("r0") RESULT("r1") RESULT("r2")
          "strd lr, r7, [r6, " CHANNEL "]\n"
          "ldr r7, [r6, " LEFT "]\n"
          "subs r7, #1\n"
          "str r7, [r6, " LEFT "]\n"
          "bne 1b\n"
          KQ_ARM_DENSE_RETURN);
}

#else

void kq_arm_dense_rows(kq_arm_dense *dense) {
  const uint8_t *weights = dense->weights;
  for (; dense->left > 0; --dense->left) {
    for (int row = 0; row < KQ_ARM_ROWS; ++row, weights += dense->row_bytes) {
      *dense->y++ = kq_arm_finish(dense->channel++, kq_arm_dense_dot(dense->x, dense->x_end, weights), 0);
    }
  }
}

#endif
