#include "kq_arm_dense_rows.h"

#ifdef KQ_ARM_ASSEMBLY

/* Places in kq_arm_dense_block, all of four bytes. */
#define X "#0" /* and x_whole */
#define X_END "#8"
#define WEIGHTS "#12" /* and row_bytes */
#define START "#20"
#define FINISH "#28"
#define MULTIPLIER "#32" /* and bias, y, unit, left */
#define STEPS "#52"
#define Y_END "#60"
typedef char places_are_right[offsetof(kq_arm_dense_block, sums) == 64 && offsetof(kq_arm_dense_block, multiplier) == 32 ? 1 : -1];

/* r0-r2 sums, r3-r5 weights, lr inputs; the block and the end of whole steps are on the stack. The sums go to block->finish by a
 * jump, the block in r6, and it jumps to kq_arm_next_many_rows with r5 and r6 kept, and the next output in r7. */
KQ_NAKED void kq_arm_dense_many_rows(kq_arm_dense_block *block KQ_UNUSED) {
  __asm__("ldr r1, [r0, #4]\n"
          "push {r0, r1, r4-r11, lr}\n"
          "mov r6, r0\n"
          "ldr r5, [r6, " WEIGHTS "]\n"
          "1:\n"
          "ldr r7, [r6, #16]\n"
          "mov r3, r5\n"
          "add r4, r3, r7\n"
          "add r5, r4, r7\n"
          "ldrd lr, r7, [r6, " X "]\n"
          "movs r0, #0\n"
          "movs r1, #0\n"
          "movs r2, #0\n"
          "cmp lr, r7\n"
          "beq 3f\n"
          ".if " KQ_TEXT(KQ_UNROLL(8, 1)) " > 1\n"
          "2:\n"
          ".rept " KQ_TEXT(KQ_UNROLL(8, 1)) "\n" KQ_ARM_DENSE_STEP ".endr\n"
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
          "ldr pc, [r6, " FINISH "]\n"
          ".thumb_func\n"
          ".global kq_arm_next_many_rows\n"
          ".type kq_arm_next_many_rows, %function\n"
          "kq_arm_next_many_rows:\n"
          "ldr r3, [r6, " Y_END "]\n"
          "cmp r7, r3\n"
          "bne 1b\n"
          "add sp, #8\n"
          "pop {r4-r11, pc}\n");
}

/* r3 multipliers, r4 biases, r7 outputs, r8 unit, r9 left. */
#define RESULT(sum, multiplier, load, bias)     \
  "ldrd r10, r11, [r6, " START "]\n"            \
  load " r12, [r4, " bias "]\n"                 \
  "smlal r10, r11, r12, r8\n"                   \
  "ldrsh r12, [r3, " multiplier "]\n"           \
  "lsl r12, r12, r9\n"                          \
  "smlal r10, r11, " sum ", r12\n"              \
  "usat r11, #8, r11\n"                         \
  "strb r11, [r7], #1\n"
#define RESULTS(load, second, third)                                                \
  "add lr, r6, " MULTIPLIER "\n"                                                    \
  "ldmia lr, {r3, r4, r7, r8, r9}\n"                                                \
  RESULT("r0", "#0", load, "#0") RESULT("r1", "#2", load, second) RESULT("r2", "#4", load, third) \
  "ldrd r10, r11, [r6, " STEPS "]\n"                                                \
  "add r3, r10\n"                                                                   \
  "add r4, r11\n"                                                                   \
  "stmia lr, {r3, r4, r7}\n"                                                        \
  "b kq_arm_next_many_rows\n"

KQ_NAKED void kq_arm_finish_16(kq_arm_dense_block *block KQ_UNUSED) { __asm__(RESULTS("ldrsh", "#2", "#4")); }
KQ_NAKED void kq_arm_finish_32(kq_arm_dense_block *block KQ_UNUSED) { __asm__(RESULTS("ldr", "#4", "#8")); }

#else

/* With biases of so many bytes. */
static void finish(kq_arm_dense_block *block, size_t size) {
  const int64_t start = (int64_t)((uint64_t)(uint32_t)block->start_high << 32 | block->start_low);
  for (int row = 0; row < KQ_ARM_ROWS; ++row) {
    const uint8_t *const b = block->bias + size * (size_t)row;
    const int64_t bias = size == 2 ? kq_load_s16(b) : (int32_t)kq_load_word(b);
    const int64_t factor = (int32_t)((uint32_t)(int32_t)kq_load_s16(block->multiplier + 2 * row) << block->left);
    *block->y++ = (uint8_t)kq_clamp(kq_shift_floor(start + bias * block->unit + block->sums[row] * factor, 32), 0, 255);
  }
  block->bias += block->bias_step;
  block->multiplier += block->multiplier_step;
}

void kq_arm_finish_16(kq_arm_dense_block *block) { finish(block, 2); }
void kq_arm_finish_32(kq_arm_dense_block *block) { finish(block, 4); }

void kq_arm_dense_many_rows(kq_arm_dense_block *block) {
  const uint8_t *weights = block->weights;
  while (block->y != block->y_end) {
    for (int row = 0; row < KQ_ARM_ROWS; ++row, weights += block->row_bytes) {
      block->sums[row] = kq_arm_dense_dot(block->x, block->x_end, weights);
    }
    block->finish(block);
  }
}

#endif
