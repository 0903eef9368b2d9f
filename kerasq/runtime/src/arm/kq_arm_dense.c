#include "kq_arm_dense.h"

#ifdef KQ_ARM_ASSEMBLY

/* Places in kq_arm_dense, all of four bytes. */
#define X "#0" /* and x_whole */
#define X_END "#8"
#define WEIGHTS "#12" /* and row_bytes */
#define ROW_BYTES "#16"
#define CHANNEL "#20" /* and y */
#define LEFT "#28"
#define FINISH "#32"
typedef char places_are_right[offsetof(kq_arm_dense, sums) == 36 && offsetof(kq_arm_dense, left) == 28 ? 1 : -1];

/* Eight inputs of a row: r6-r9 their pairs. */
#define ROW(sum, weights)                    \
  "ldrd r10, r11, [" weights "], #8\n"       \
  "sxtb16 r12, r10, ror #8\n"                \
  "sxtb16 r10, r10\n"                        \
  "smlad " sum ", r12, r6, " sum "\n"        \
  "sxtb16 r12, r11, ror #8\n"                \
  "smlad " sum ", r10, r7, " sum "\n"        \
  "sxtb16 r11, r11\n"                        \
  "smlad " sum ", r12, r8, " sum "\n"        \
  "smlad " sum ", r11, r9, " sum "\n"
#define STEP "ldmia lr!, {r6-r9}\n" ROW("r0", "r3") ROW("r1", "r4") ROW("r2", "r5")

/* r0-r2 sums, r3-r5 weights, lr inputs; the block and the end of whole steps are on the stack. The sums go to dense->finish by a jump, the block in r6, and it
 * jumps to kq_arm_next_rows with r5 and r6 kept. */
KQ_NAKED void kq_arm_dense_rows(kq_arm_dense *dense KQ_UNUSED) {
  __asm__("ldr r1, [r0, #4]\n"
          "push {r0, r1, r4-r11, lr}\n"
          "sub sp, #4\n"
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
          ".rept " KQ_TEXT(KQ_UNROLL(4, 1)) "\n" STEP ".endr\n"
          "ldr r6, [sp, #8]\n"
          "cmp lr, r6\n"
          "bne 2b\n"
          "ldr r6, [sp, #4]\n"
          ".endif\n"
          "3:\n"
          "ldr r7, [r6, " X_END "]\n"
          "cmp lr, r7\n"
          "beq 5f\n"
          "4:\n" STEP
          "ldr r6, [sp, #4]\n"
          "ldr r7, [r6, " X_END "]\n"
          "cmp lr, r7\n"
          "bne 4b\n"
          "5:\n"
          "ldr pc, [r6, " FINISH "]\n"
          ".thumb_func\n"
          ".global kq_arm_next_rows\n"
          ".type kq_arm_next_rows, %function\n"
          "kq_arm_next_rows:\n"
          "ldr r7, [r6, " LEFT "]\n"
          "subs r7, #1\n"
          "str r7, [r6, " LEFT "]\n"
          "bne 1b\n"
          "add sp, #12\n"
          "pop {r4-r11, pc}\n");
}

#define RESULT(sum)                          \
  "ldmia lr!, {r8, r9, r10}\n"               \
  "smlal r9, r10, " sum ", r8\n"             \
  "usat r10, #8, r10\n"                      \
  "strb r10, [r7], #1\n"
KQ_NAKED static void finish(kq_arm_dense *dense KQ_UNUSED) {
  __asm__("ldrd lr, r7, [r6, " CHANNEL "]\n"
          RESULT("r0") RESULT("r1") RESULT("r2")
          "strd lr, r7, [r6, " CHANNEL "]\n"
          "b kq_arm_next_rows\n");
}

#else

static int32_t dot(const uint32_t *x, const uint32_t *end, const uint8_t *weights) {
  int32_t sum = 0;
  for (; x != end; x += 2, weights += 4) {
    const uint32_t word = kq_load_word(weights);
    sum = kq_smlad(kq_even_bytes(word, true), x[1], kq_smlad(kq_odd_bytes(word, true), x[0], sum));
  }
  return sum;
}

static void finish(kq_arm_dense *dense) {
  for (int row = 0; row < KQ_ARM_ROWS; ++row) *dense->y++ = kq_arm_finish(dense->channel++, dense->sums[row], 0);
}

void kq_arm_dense_rows(kq_arm_dense *dense) {
  const uint8_t *weights = dense->weights;
  for (; dense->left > 0; --dense->left) {
    for (int row = 0; row < KQ_ARM_ROWS; ++row, weights += dense->row_bytes) {
      dense->sums[row] = dot(dense->x, dense->x_end, weights);
    }
    dense->finish(dense);
  }
}

#endif

void kq_arm_choose_dense_finish(kq_arm_dense *dense) { dense->finish = finish; }
