/* Finishes with an addend. All addends are read before a result is stored: at the end of a map the four pixels may be the same. */
#include "kq_arm_results.h"

#ifdef KQ_ARM_ASSEMBLY

/* r8 factor, r9 behind the channel, lr the place of the addends, r7 from pixel to pixel, r11 and r12 their factor. */
#define RESULT(sum, load)                \
  load                                   \
  "ldrd r4, r5, [r9, #-8]\n"             \
  "smlal r4, r5, " sum ", r8\n"          \
  "smlal r4, r5, r6, r11\n"              \
  "mla r5, r6, r12, r5\n"                \
  SATURATE(sum, "r5")

#define FINISH(name, load)                                                                                   \
  KQ_NAKED static void name(kq_arm_block *block KQ_UNUSED) {                                                 \
    __asm__("str r12, [r10, " SAVED "]\n"                                                                    \
            "ldr r9, [r10, " CHANNEL "]\n"                                                                   \
            "ldr r8, [r9], #12\n"                                                                            \
            "str r9, [r10, " CHANNEL "]\n"                                                                   \
            "ldr lr, [r10, " ADDEND "]\n"                                                                    \
            "ldrd r11, r12, [r10, " ADDEND_FACTOR "]\n"                                                      \
            "ldr r7, [r10, " NEXT_PIXEL "]\n"                                                                \
            "add r6, lr, #1\n"                                                                               \
            "str r6, [r10, " ADDEND "]\n"                                                                    \
            RESULT("r0", load " r6, [lr]\n")                                                       \
            RESULT("r1", load " r6, [lr, r7]\nadd lr, lr, r7, lsl #1\n")                           \
            RESULT("r2", load " r6, [lr]\n")                                                       \
            RESULT("r3", load " r6, [lr, r7]\n")                                                   \
            "ldr r12, [r10, " SAVED "]\n"                                                                    \
            STORE_RESULTS);                                                                                  \
  }
FINISH(finish_s8, "ldrsb")
FINISH(finish_u8, "ldrb")

#else

static void finish(kq_arm_block *block) {
  const bool is_signed = block->op->input[KQ_ADDEND]->type == KQ_FIXED8;
  const int64_t factor = kq_arm_addend_factor(block->op);
  uint8_t results[KQ_ARM_PIXELS];
  for (uint32_t pixel = 0; pixel < KQ_ARM_PIXELS; ++pixel) {
    const uint8_t *r = block->addend + pixel * block->next_pixel;
    results[pixel] = kq_arm_finish(block->channel, block->sums[pixel], (is_signed ? kq_load_s8(r) : *r) * factor);
  }
  for (uint32_t pixel = 0; pixel < KQ_ARM_PIXELS; ++pixel) block->y[pixel * block->next_pixel] = results[pixel];
  block->y += 1;
  block->channel += 1;
  block->addend += 1;
}

#endif

void kq_arm_choose_finish_with_addend(const kq_operator *op, kq_arm_block *block) {
  const int64_t factor = kq_arm_addend_factor(op);
  const bool is_signed = op->input[KQ_ADDEND]->type == KQ_FIXED8;
  block->op = op;
  block->addend_factor[0] = (int32_t)(uint32_t)(factor & UINT32_MAX);
  block->addend_factor[1] = (int32_t)((factor >> 32) + (factor >> 31 & 1)); /* what a negative low half takes away */
#ifdef KQ_ARM_ASSEMBLY
  block->finish = is_signed ? finish_s8 : finish_u8;
#else
  (void)is_signed;
  block->finish = finish;
#endif
}
