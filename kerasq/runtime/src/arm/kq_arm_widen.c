#include "kq_arm_products.h"

#ifdef KQ_ARM_ASSEMBLY

/* r0 turns, r1-r4 pixels, r5-r8 their words, lr words left. */
#define WIDEN(name, extend)                                                                       \
  KQ_NAKED uint32_t *name(uint32_t *turns KQ_UNUSED, const uint8_t *pixels[KQ_ARM_PIXELS] KQ_UNUSED, uint32_t words KQ_UNUSED) { \
    __asm__("push {r1, r4-r11, lr}\n"                                                             \
            "mov lr, r2\n"                                                                        \
            "ldmia r1, {r1-r4}\n"                                                                 \
            "1:\n"                                                                                \
            "ldr r5, [r1], #4\n"                                                                  \
            "ldr r6, [r2], #4\n"                                                                  \
            "ldr r7, [r3], #4\n"                                                                  \
            "ldr r8, [r4], #4\n"                                                                  \
            extend " r9, r5, ror #8\n"                                                            \
            extend " r10, r6, ror #8\n"                                                           \
            extend " r11, r7, ror #8\n"                                                           \
            extend " r12, r8, ror #8\n"                                                           \
            "stmia r0!, {r9-r12}\n"                                                               \
            extend " r5, r5\n"                                                                    \
            extend " r6, r6\n"                                                                    \
            extend " r7, r7\n"                                                                    \
            extend " r8, r8\n"                                                                    \
            "stmia r0!, {r5-r8}\n"                                                                \
            "subs lr, #1\n"                                                                       \
            "bne 1b\n"                                                                            \
            "pop {r5}\n"                                                                          \
            "stmia r5, {r1-r4}\n"                                                                 \
            "pop {r4-r11, pc}\n");                                                                \
  }
WIDEN(kq_arm_widen_s8, "sxtb16")
WIDEN(kq_arm_widen_u8, "uxtb16")

#else

static uint32_t *widen(uint32_t *turns, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t words, bool is_signed) {
  for (; words > 0; --words, turns += KQ_ARM_TURN_WORDS) {
    for (int pixel = 0; pixel < KQ_ARM_PIXELS; ++pixel, ++pixels) {
      const uint32_t word = kq_load_word(*pixels);
      turns[pixel] = kq_odd_bytes(word, is_signed);
      turns[KQ_ARM_PIXELS + pixel] = kq_even_bytes(word, is_signed);
      *pixels += KQ_ARM_TURN;
    }
    pixels -= KQ_ARM_PIXELS;
  }
  return turns;
}

uint32_t *kq_arm_widen_s8(uint32_t *turns, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t words) {
  return widen(turns, pixels, words, true);
}

uint32_t *kq_arm_widen_u8(uint32_t *turns, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t words) {
  return widen(turns, pixels, words, false);
}

#endif
