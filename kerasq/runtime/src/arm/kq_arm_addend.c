/* Finishes with an addend. All addends are read before a result is stored: at the end of a map the four pixels may be the same. */
#include "kq_arm_results.h"

#ifdef KQ_ARM_ASSEMBLY

/* r8 factor, r9 behind the channel, lr the place of the addends, r7 from pixel to pixel. An addend whose factor is 2^32 or more adds to
 * the high word alone, r12 its factor there, r9 and r11 the start; else r11 and r12 are the factor. */
#define FINE(sum)                        \
  "ldrd r4, r5, [r9, #-8]\n"             \
  "smlal r4, r5, " sum ", r8\n"          \
  "smlal r4, r5, r6, r11\n"              \
  "mla r5, r6, r12, r5\n"                \
  SATURATE(sum, "r5")
#define COARSE(sum)                      \
  "mov r4, r11\n"                        \
  "mla r5, r6, r12, r9\n"                \
  "smlal r4, r5, " sum ", r8\n"          \
  SATURATE(sum, "r5")
#define LOAD_FINE "ldrd r11, r12, [r10, " ADDEND_FACTOR "]\n"
#define LOAD_COARSE "ldr r12, [r10, " ADDEND_FACTOR "+4]\nldrd r11, r9, [r9, #-8]\n"

#define FINISH(name, load, load_factor, RESULT)                                                              \
  KQ_NAKED static void name(kq_arm_block *block KQ_UNUSED) {                                                 \
    __asm__("str r12, [r10, " SAVED "]\n"                                                                    \
            "ldr r9, [r10, " CHANNEL "]\n"                                                                   \
            "ldr r8, [r9], #12\n"                                                                            \
            "str r9, [r10, " CHANNEL "]\n"                                                                   \
            "ldr lr, [r10, " ADDEND "]\n"                                                                    \
            load_factor                                                                                      \
            "ldr r7, [r10, " NEXT_PIXEL "]\n"                                                                \
            "add r6, lr, #1\n"                                                                               \
            "str r6, [r10, " ADDEND "]\n"                                                                    \
            load " r6, [lr]\n" RESULT("r0")                                                                  \
            load " r6, [lr, r7]\nadd lr, lr, r7, lsl #1\n" RESULT("r1")                                     \
            load " r6, [lr]\n" RESULT("r2")                                                                  \
            load " r6, [lr, r7]\n" RESULT("r3")                                                              \
            "ldr r12, [r10, " SAVED "]\n"                                                                    \
            STORE_RESULTS);                                                                                  \
  }
FINISH(finish_s8, "ldrsb", LOAD_FINE, FINE)
FINISH(finish_u8, "ldrb", LOAD_FINE, FINE)
#ifndef __OPTIMIZE_SIZE__
FINISH(finish_coarse_s8, "ldrsb", LOAD_COARSE, COARSE)
FINISH(finish_coarse_u8, "ldrb", LOAD_COARSE, COARSE)
#endif

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
#ifndef __OPTIMIZE_SIZE__
  if (block->addend_factor[0] == 0) block->finish = is_signed ? finish_coarse_s8 : finish_coarse_u8;
#endif
#else
  (void)is_signed;
  block->finish = finish;
#endif
}
