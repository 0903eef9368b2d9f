#include "kq_arm_short.h"

#include "kq_arm_places.h"

/* What the sums of all channels begin with. */
static void start_sums(kq_arm_block *block, int32_t excess) {
  const uint32_t ones = 0x00010001u;
  int32_t all[KQ_ARM_PIXELS] = {0};
  for (const uint32_t *x = block->x; x != block->x_end; x += KQ_ARM_PIXELS) {
    all[0] = kq_smlad(x[0], ones, all[0]);
    all[1] = kq_smlad(x[1], ones, all[1]);
    all[2] = kq_smlad(x[2], ones, all[2]);
    all[3] = kq_smlad(x[3], ones, all[3]);
  }
  for (int pixel = 0; pixel < KQ_ARM_PIXELS; ++pixel) block->all[pixel] = all[pixel] * -(excess << KQ_ARM_SHORT_PLACES);
}

#ifdef KQ_ARM_ASSEMBLY

#define ALL "#72"
typedef char all_is_right[offsetof(kq_arm_block, all) == 72 ? 1 : -1];

/* Two weights: 8 multiply-accumulates in 6 instructions. r0-r3 sums, r9 weights, r11 mask, lr inputs. */
#define PAIR(shifted) "and r8, r11, r9" shifted "\n" PRODUCTS
#define PRODUCTS                         \
  "ldmia lr!, {r4-r7}\n"                 \
  "smlad r0, r8, r4, r0\n"               \
  "smlad r1, r8, r5, r1\n"               \
  "smlad r2, r8, r6, r2\n"               \
  "smlad r3, r8, r7, r3\n"

#define TURN_S2                                                      \
  PAIR(", lsl #4") PAIR(", lsl #2") PAIR("") PAIR(", lsr #2")        \
  PAIR(", lsr #4") PAIR(", lsr #6") PAIR(", lsr #8") PAIR(", lsr #10")
#define TURN_S4 PAIR(", lsl #4") PAIR("") PAIR(", lsr #4") PAIR(", lsr #8")

/* Finishes keep r12, the weights, and r10, the block, only. */
#define MULTIPLY(name, mask, highest_bits, turn)                          \
  KQ_NAKED static void name(kq_arm_block *block KQ_UNUSED) {              \
    __asm__("push {r3-r11, lr}\n"                                         \
            "mov r10, r0\n"                                               \
            "ldr r12, [r10, " WEIGHTS "]\n"                               \
            "ldr r1, =kq_arm_after_" #name "\n"                           \
            "str r1, [r10, " NEXT "]\n"                                   \
            "1:\n"                                                        \
            "add r4, r10, " ALL "\n"                                      \
            "ldmia r4, {r0-r3}\n"                                         \
            "ldr lr, [r10, " X "]\n"                                      \
            "mov r11, " mask "\n"                                         \
            "2:\n"                                                        \
            "ldr r9, [r12], #4\n"                                         \
            "eor r9, r9, " highest_bits "\n" turn                         \
            "ldr r8, [r10, " X_END "]\n"                                  \
            "cmp lr, r8\n"                                                \
            "bne 2b\n"                                                    \
            "ldr pc, [r10, " FINISH "]\n"                                 \
            ".thumb_func\n"                                               \
            ".type kq_arm_after_" #name ", %function\n"                   \
            "kq_arm_after_" #name ":\n"                                   \
            "ldr r4, [r10, " LEFT "]\n"                                   \
            "subs r4, #1\n"                                               \
            "str r4, [r10, " LEFT "]\n"                                   \
            "bne 1b\n"                                                    \
            "pop {r3-r11, pc}\n"                                          \
            ".ltorg\n");                                                  \
  }
MULTIPLY(multiply_s2, "#0x00300030", "#0xAAAAAAAA", TURN_S2)
MULTIPLY(multiply_s4, "#0x00F000F0", "#0x88888888", TURN_S4)

#else

static void multiply(kq_arm_block *block, uint32_t mask, uint32_t highest_bits, uint32_t bits) {
  const uint8_t *weights = block->weights;
  do {
    memcpy(block->sums, block->all, sizeof block->sums);
    for (const uint32_t *x = block->x; x != block->x_end; weights += 4) {
      const uint32_t word = kq_load_word(weights) ^ highest_bits;
      for (uint32_t places = 0; places < 16; places += bits, x += KQ_ARM_PIXELS) {
        const uint32_t pair = (uint32_t)((uint64_t)word << KQ_ARM_SHORT_PLACES >> places) & mask;
        for (int pixel = 0; pixel < KQ_ARM_PIXELS; ++pixel) block->sums[pixel] = kq_smlad(pair, x[pixel], block->sums[pixel]);
      }
    }
    block->finish(block);
    block->left -= 1;
  } while (block->left != 0);
}

static void multiply_s2(kq_arm_block *block) { multiply(block, 0x00300030u, 0xAAAAAAAAu, 2); }
static void multiply_s4(kq_arm_block *block) { multiply(block, 0x00F000F0u, 0x88888888u, 4); }

#endif

void kq_arm_products_s2(kq_arm_block *block) {
  start_sums(block, 2);
  multiply_s2(block);
}

void kq_arm_products_s4(kq_arm_block *block) {
  start_sums(block, 8);
  multiply_s4(block);
}

/* Four pairs of two words of a pixel; from one pair to the next are those of the other pixels. */
static inline void widen_pairs(uint32_t *pairs, uint32_t first, uint32_t second, bool is_signed) {
  const uint32_t even = kq_even_bytes(first, is_signed), even_of_second = kq_even_bytes(second, is_signed);
  const uint32_t odd = kq_odd_bytes(first, is_signed), odd_of_second = kq_odd_bytes(second, is_signed);
  pairs[0] = kq_low_halves(even, even_of_second);
  pairs[KQ_ARM_PIXELS] = kq_low_halves(odd, odd_of_second);
  pairs[2 * KQ_ARM_PIXELS] = kq_high_halves(even, even_of_second);
  pairs[3 * KQ_ARM_PIXELS] = kq_high_halves(odd, odd_of_second);
}

/* A turn has `half` words of inputs and as many that are their partners. */
static inline uint32_t *widen(uint32_t *turns, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t words, uint32_t half, bool is_signed) {
  for (; words > 0; words -= 2 * half, turns += 2 * half * KQ_ARM_TURN_WORDS) {
    for (int pixel = 0; pixel < KQ_ARM_PIXELS; ++pixel) {
      const uint8_t *const from = pixels[pixel];
      for (uint32_t i = 0; i < half; ++i) {
        const uint32_t first = kq_load_word(from + 4 * i), second = kq_load_word(from + 4 * (i + half));
        widen_pairs(turns + i * 4 * KQ_ARM_PIXELS + pixel, first, second, is_signed);
      }
      pixels[pixel] = from + 8 * half;
    }
  }
  return turns;
}

#define WIDEN(name, half, is_signed)                                                                      \
  uint32_t *name(uint32_t *turns, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t words) {                 \
    return widen(turns, pixels, words, half, is_signed);                                                  \
  }
WIDEN(kq_arm_widen_s8_s2, 2, true)
WIDEN(kq_arm_widen_u8_s2, 2, false)
WIDEN(kq_arm_widen_s8_s4, 1, true)
WIDEN(kq_arm_widen_u8_s4, 1, false)
