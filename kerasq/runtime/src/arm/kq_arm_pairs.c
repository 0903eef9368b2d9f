/* Four pixels by two channels at a time, whose rows of weights lie in pairs. */
#include "kq_arm_places.h"

#ifdef KQ_ARM_ASSEMBLY

/* Two inputs of each pixel: 16 multiply-accumulates in 13 instructions. r0-r3 sums of the first channel, r4-r7 of the second, r12
 * weights, lr inputs. */
#define HALF_TURN                        \
  "ldr r8, [r12], #4\n"                  \
  "sxtb16 r9, r8, ror #8\n"              \
  "sxtb16 r8, r8\n"                      \
  "ldrd r10, r11, [lr], #8\n"            \
  "smlad r0, r8, r10, r0\n"              \
  "smlad r4, r9, r10, r4\n"              \
  "smlad r1, r8, r11, r1\n"              \
  "smlad r5, r9, r11, r5\n"              \
  "ldrd r10, r11, [lr], #8\n"            \
  "smlad r2, r8, r10, r2\n"              \
  "smlad r6, r9, r10, r6\n"              \
  "smlad r3, r8, r11, r3\n"              \
  "smlad r7, r9, r11, r7\n"
#define TURN HALF_TURN HALF_TURN

/* On the stack, from its top: the block, the end of whole groups of turns, the end of all; while the first channel is finished, the
 * sums of the second before them. */
KQ_NAKED void kq_arm_pair_products(kq_arm_block *block KQ_UNUSED) {
  __asm__("ldrd r1, r2, [r0, #4]\n"
          "push {r0-r2, r4-r11, lr}\n"
          "mov r10, r0\n"
          "ldr r12, [r10, " WEIGHTS "]\n"
          "1:\n"
          "ldr lr, [r10, " X "]\n"
          "movs r0, #0\n"
          "movs r1, #0\n"
          "movs r2, #0\n"
          "movs r3, #0\n"
          "movs r4, #0\n"
          "movs r5, #0\n"
          "movs r6, #0\n"
          "movs r7, #0\n"
          ".if " KQ_TEXT(KQ_UNROLL(4, 1)) " > 1\n"
          "ldr r11, [sp, #4]\n"
          "cmp lr, r11\n"
          "beq 3f\n"
          "2:\n"
          ".rept " KQ_TEXT(KQ_UNROLL(4, 1)) "\n" TURN ".endr\n"
          "ldr r11, [sp, #4]\n"
          "cmp lr, r11\n"
          "bne 2b\n"
          "3:\n"
          ".endif\n"
          "ldr r11, [sp, #8]\n"
          "cmp lr, r11\n"
          "beq 5f\n"
          "4:\n" TURN
          "ldr r11, [sp, #8]\n"
          "cmp lr, r11\n"
          "bne 4b\n"
          "5:\n"
          "ldr r10, [sp]\n"
          "push {r4-r7}\n"
          "ldr r4, =kq_arm_second_of_pair\n"
          "str r4, [r10, " NEXT "]\n"
          "ldr pc, [r10, " FINISH "]\n"
          ".thumb_func\n"
          ".type kq_arm_second_of_pair, %function\n"
          "kq_arm_second_of_pair:\n"
          "pop {r0-r3}\n"
          "ldr r4, =kq_arm_next_pair\n"
          "str r4, [r10, " NEXT "]\n"
          "ldr pc, [r10, " FINISH "]\n"
          ".thumb_func\n"
          ".type kq_arm_next_pair, %function\n"
          "kq_arm_next_pair:\n"
          "ldr r4, [r10, " LEFT "]\n"
          "subs r4, #2\n"
          "str r4, [r10, " LEFT "]\n"
          "bne 1b\n"
          "add sp, #12\n"
          "pop {r4-r11, pc}\n"
          ".ltorg\n");
}

#else

void kq_arm_pair_products(kq_arm_block *block) {
  const uint8_t *weights = block->weights;
  for (; block->left != 0; block->left -= 2) {
    int32_t second[KQ_ARM_PIXELS] = {0};
    for (int pixel = 0; pixel < KQ_ARM_PIXELS; ++pixel) block->sums[pixel] = 0;
    for (const uint32_t *x = block->x; x != block->x_end; x += KQ_ARM_PIXELS, weights += 4) {
      const uint32_t word = kq_load_word(weights), first = kq_even_bytes(word, true), other = kq_odd_bytes(word, true);
      for (int pixel = 0; pixel < KQ_ARM_PIXELS; ++pixel) {
        block->sums[pixel] = kq_smlad(first, x[pixel], block->sums[pixel]);
        second[pixel] = kq_smlad(other, x[pixel], second[pixel]);
      }
    }
    block->finish(block);
    memcpy(block->sums, second, sizeof second);
    block->finish(block);
  }
}

#endif
