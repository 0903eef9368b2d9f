#include "kq_arm_places.h"

#ifdef KQ_ARM_ASSEMBLY

/* One turn: 16 multiply-accumulates in 13 instructions. r0-r3 sums, r12 weights, lr inputs. */
#define TURN                             \
  "ldr r9, [r12], #4\n"                  \
  "sxtb16 r8, r9, ror #8\n"              \
  "sxtb16 r9, r9\n"                      \
  "ldmia lr!, {r4-r7}\n"                 \
  "smlad r0, r8, r4, r0\n"               \
  "smlad r1, r8, r5, r1\n"               \
  "smlad r2, r8, r6, r2\n"               \
  "smlad r3, r8, r7, r3\n"               \
  "ldmia lr!, {r4-r7}\n"                 \
  "smlad r0, r9, r4, r0\n"               \
  "smlad r1, r9, r5, r1\n"               \
  "smlad r2, r9, r6, r2\n"               \
  "smlad r3, r9, r7, r3\n"

KQ_NAKED void kq_arm_products(kq_arm_block *block KQ_UNUSED) {
  __asm__("push {r3-r11, lr}\n"
          "mov r10, r0\n"
          "ldr r12, [r10, " WEIGHTS "]\n"
          "ldr r1, =kq_arm_next_channel\n"
          "str r1, [r10, " NEXT "]\n"
          "1:\n"
          "ldrd lr, r11, [r10, " X "]\n"
          "movs r0, #0\n"
          "movs r1, #0\n"
          "movs r2, #0\n"
          "movs r3, #0\n"
          ".if " KQ_TEXT(KQ_UNROLL(2, 1)) " > 1\n"
          "cmp lr, r11\n"
          "beq 3f\n"
          "2:\n"
          ".rept " KQ_TEXT(KQ_UNROLL(2, 1)) "\n" TURN ".endr\n"
          "cmp lr, r11\n"
          "bne 2b\n"
          "3:\n"
          ".endif\n"
          "ldr r11, [r10, " X_END "]\n"
          "cmp lr, r11\n"
          "beq 5f\n"
          "4:\n" TURN "cmp lr, r11\n"
          "bne 4b\n"
          "5:\n"
          "ldr pc, [r10, " FINISH "]\n"
          ".thumb_func\n"
          ".global kq_arm_next_channel\n"
          ".type kq_arm_next_channel, %function\n"
          "kq_arm_next_channel:\n"
          "ldr r4, [r10, " LEFT "]\n"
          "subs r4, #1\n"
          "str r4, [r10, " LEFT "]\n"
          "bne 1b\n"
          "pop {r3-r11, pc}\n"
          ".ltorg\n");
}

#else

void kq_arm_products(kq_arm_block *block) {
  const uint8_t *weights = block->weights;
  do {
    for (int pixel = 0; pixel < KQ_ARM_PIXELS; ++pixel) block->sums[pixel] = 0;
    for (const uint32_t *x = block->x; x != block->x_end; x += KQ_ARM_TURN_WORDS, weights += KQ_ARM_TURN) {
      const uint32_t word = kq_load_word(weights), odd = kq_odd_bytes(word, true), even = kq_even_bytes(word, true);
      for (int pixel = 0; pixel < KQ_ARM_PIXELS; ++pixel) {
        block->sums[pixel] = kq_smlad(even, x[KQ_ARM_PIXELS + pixel], kq_smlad(odd, x[pixel], block->sums[pixel]));
      }
    }
    block->finish(block);
    block->left -= 1;
  } while (block->left != 0);
}

#endif
