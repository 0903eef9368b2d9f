#include "kq_arm_dense_rows.h"

#ifdef KQ_ARM_ASSEMBLY

/* Places in kq_arm_dense_block, all of four bytes. */
#define START "#20"
#define FINISH "#28"
#define MULTIPLIER "#32" /* and bias, y, unit, left */
#define STEPS "#52"
#define Y_END "#60"
typedef char places_are_right[offsetof(kq_arm_dense_block, row_bytes) == 16 && offsetof(kq_arm_dense_block, multiplier) == 32 &&
                                      offsetof(kq_arm_dense_block, sums) == 64
                                  ? 1
                                  : -1];

/* The sums go to block->finish by a jump, and it jumps to kq_arm_next_many_rows with the next output in r7. */
KQ_NAKED void kq_arm_dense_many_rows(kq_arm_dense_block *block KQ_UNUSED) {
  __asm__(KQ_ARM_DENSE_SUMS(KQ_TEXT(KQ_UNROLL(8, 1)))
          "ldr pc, [r6, " FINISH "]\n"
          ".thumb_func\n"
          ".global kq_arm_next_many_rows\n"
          ".type kq_arm_next_many_rows, %function\n"
          "kq_arm_next_many_rows:\n"
          "ldr r3, [r6, " Y_END "]\n"
          "cmp r7, r3\n"
          "bne 1b\n"
          KQ_ARM_DENSE_RETURN);
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
