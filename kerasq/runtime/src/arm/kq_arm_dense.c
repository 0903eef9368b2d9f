#include "kq_arm_dense.h"

#ifdef KQ_ARM_ASSEMBLY

/* Places in kq_arm_dense, all of four bytes. */
#define X "#0" /* and x_whole */
#define X_END "#8"
#define WEIGHTS "#12" /* and row_bytes */
#define ROW_BYTES "#16"
#define CHANNEL "#20" /* and y */
#define LEFT "#28"
typedef char places_are_right[sizeof(kq_arm_dense) == 32 && offsetof(kq_arm_dense, left) == 28 ? 1 : -1];

#define RESULT(sum)                          \
  "ldmia lr!, {r8, r9, r10}\n"               \
  "smlal r9, r10, " sum ", r8\n"             \
  "usat r10, #8, r10\n"                      \
  "strb r10, [r7], #1\n"

/* r0-r2 sums, r3-r5 weights, lr inputs; the block and the end of whole steps are on the stack. */
KQ_NAKED void kq_arm_dense_rows(kq_arm_dense *dense KQ_UNUSED) {
  __asm__("ldr r1, [r0, #4]\n"
          "push {r0, r1, r4-r11, lr}\n"
          "mov r6, r0\n"
          "ldr r5, [r6, " WEIGHTS "]\n"
          "1:\n"
          "ldr r7, [r6, " ROW_BYTES "]\n"
          "mov r3, r5\n"
          "add r4, r3, r7\n"
          "add r5, r4, r7\n"
          "ldrd lr, r7, [r6, " X "]\n"
          "movs r0, #0\n"
          "movs r1, #0\n"
          "movs r2, #0\n"
          "cmp lr, r7\n"
          "beq 3f\n"
          ".if " KQ_TEXT(KQ_UNROLL(4, 1)) " > 1\n"
          "2:\n"
          ".rept " KQ_TEXT(KQ_UNROLL(4, 1)) "\n" KQ_ARM_DENSE_STEP ".endr\n"
          "ldr r6, [sp, #4]\n"
          "cmp lr, r6\n"
          "bne 2b\n"
          "ldr r6, [sp]\n"
          ".endif\n"
          "3:\n"
          "ldr r7, [r6, " X_END "]\n"
          "cmp lr, r7\n"
          "beq 5f\n"
          "4:\n" KQ_ARM_DENSE_STEP
          "ldr r6, [sp]\n"
          "ldr r7, [r6, " X_END "]\n"
          "cmp lr, r7\n"
          "bne 4b\n"
          "5:\n"
          "ldrd lr, r7, [r6, " CHANNEL "]\n"
          RESULT("r0") RESULT("r1") RESULT("r2")
          "strd lr, r7, [r6, " CHANNEL "]\n"
          "ldr r7, [r6, " LEFT "]\n"
          "subs r7, #1\n"
          "str r7, [r6, " LEFT "]\n"
          "bne 1b\n"
          "add sp, #8\n"
          "pop {r4-r11, pc}\n");
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
