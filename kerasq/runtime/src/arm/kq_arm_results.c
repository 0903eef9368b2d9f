/* Finishes without an addend. */
#include "kq_arm_results.h"

#ifdef KQ_ARM_ASSEMBLY

/* r8 factor, r9 and r11 start: the high word of start + sum * factor, saturated. */
#define RESULT(sum)                      \
  "mov r4, r9\n"                         \
  "mov r5, r11\n"                        \
  "smlal r4, r5, " sum ", r8\n"          \
  SATURATE(sum, "r5")

KQ_NAKED static void finish(kq_arm_block *block KQ_UNUSED) {
  __asm__("ldr lr, [r10, " CHANNEL "]\n"
          "ldmia lr!, {r8, r9, r11}\n"
          "str lr, [r10, " CHANNEL "]\n"
          RESULT("r0") RESULT("r1") RESULT("r2") RESULT("r3")
          STORE_RESULTS);
}

#else

static void finish(kq_arm_block *block) {
  for (uint32_t pixel = 0; pixel < KQ_ARM_PIXELS; ++pixel) {
    block->y[pixel * block->next_pixel] = kq_arm_finish(block->channel, block->sums[pixel], 0);
  }
  block->y += 1;
  block->channel += 1;
}

#endif

void kq_arm_choose_finish(const kq_operator *op, kq_arm_block *block) {
  block->op = op;
  block->finish = finish;
}
