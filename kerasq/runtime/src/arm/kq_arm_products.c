#include "kq_arm_products.h"

#ifdef KQ_ARM_ASSEMBLY

/* Places of kq_arm_block, all of four bytes. */
#define X "#0"
#define X_END "#8"
#define WEIGHTS "#12"
#define CHANNEL "#16"
#define Y "#20" /* and next_pixel */
#define LEFT "#28"
#define FINISH "#32"
#define ADDEND "#36"
#define ADDEND_FACTOR "#40"
#define SAVED "#44"
#define SUMS "#48"
typedef char places_are_right[offsetof(kq_arm_block, sums) == 48 && offsetof(kq_arm_block, left) == 28 ? 1 : -1];

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

void kq_arm_next_channel(void);

/* The sums go to block->finish by a jump, and it jumps to kq_arm_next_channel. r10 block, r12 and the stack are to be kept. */
KQ_NAKED void kq_arm_products(kq_arm_block *block KQ_UNUSED) {
  __asm__("push {r3-r11, lr}\n"
          "mov r10, r0\n"
          "ldr r12, [r10, " WEIGHTS "]\n"
          "1:\n"
          "ldrd lr, r11, [r10, " X "]\n"
          "movs r0, #0\n"
          "movs r1, #0\n"
          "movs r2, #0\n"
          "movs r3, #0\n"
          "cmp lr, r11\n"
          "beq 3f\n"
          "2:\n"
          ".rept 4\n" TURN ".endr\n"
          "cmp lr, r11\n"
          "bne 2b\n"
          "3:\n"
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
          "pop {r3-r11, pc}\n");
}

/* r8 factor, r9 and r11 start. */
#define LOAD_CHANNEL                     \
  "ldr lr, [r10, " CHANNEL "]\n"         \
  "ldmia lr!, {r8, r9, r11}\n"           \
  "str lr, [r10, " CHANNEL "]\n"

/* The high word of start + sum * factor (+ addend), saturated. */
#define RESULT(sum, add, saturate)       \
  "mov r4, r9\n"                         \
  "mov r5, r11\n"                        \
  "smlal r4, r5, " sum ", r8\n" add      \
  saturate(sum)

#define TO_S8(sum) "ssat " sum ", #8, r5\n"
#define TO_U8(sum) "usat " sum ", #8, r5\n"
#define TO_U7(sum) "usat " sum ", #7, r5\n" /* FIXED8 after ReLU */

#define STORE_RESULTS                    \
  "ldrd r4, r5, [r10, " Y "]\n"          \
  "strb r0, [r4]\n"                      \
  "strb r1, [r4, r5]\n"                  \
  "add r6, r4, r5, lsl #1\n"             \
  "strb r2, [r6]\n"                      \
  "strb r3, [r6, r5]\n"                  \
  "adds r4, #1\n"                        \
  "str r4, [r10, " Y "]\n"               \
  "b kq_arm_next_channel\n"

#define FINISH_ALONE(name, saturate)                                                                                 \
  KQ_NAKED static void name(kq_arm_block *block KQ_UNUSED) {                                                         \
    __asm__(LOAD_CHANNEL RESULT("r0", "", saturate) RESULT("r1", "", saturate) RESULT("r2", "", saturate)            \
                RESULT("r3", "", saturate) STORE_RESULTS);                                                           \
  }
FINISH_ALONE(finish_s8, TO_S8)
FINISH_ALONE(finish_u8, TO_U8)
FINISH_ALONE(finish_u7, TO_U7)

/* Unsigned addends. lr their place, r7 from pixel to pixel, r12 the factor. */
#define LOAD_ADDENDS                     \
  "str r12, [r10, " SAVED "]\n"          \
  "ldrd lr, r12, [r10, " ADDEND "]\n"    \
  "ldr r7, [r10, #24]\n"                 \
  "add r6, lr, #1\n"                     \
  "str r6, [r10, " ADDEND "]\n"
#define ADD(load, how) load "\n" how "\n"
#define HIGH "mla r5, r6, r12, r5" /* addend_factor = 2^32 times this one */
#define LONG "umlal r4, r5, r6, r12"
#define FIRST "ldrb r6, [lr]"
#define SECOND "ldrb r6, [lr, r7]\nadd lr, lr, r7, lsl #1"

#define FINISH_WITH(name, how)                                                                                       \
  KQ_NAKED static void name(kq_arm_block *block KQ_UNUSED) {                                                         \
    __asm__(LOAD_CHANNEL LOAD_ADDENDS RESULT("r0", ADD(FIRST, how), TO_U8) RESULT("r1", ADD(SECOND, how), TO_U8)   \
                RESULT("r2", ADD(FIRST, how), TO_U8) RESULT("r3", ADD("ldrb r6, [lr, r7]", how), TO_U8)            \
                    "ldr r12, [r10, " SAVED "]\n" STORE_RESULTS);                                                    \
  }
FINISH_WITH(finish_u8_with_high, HIGH)
FINISH_WITH(finish_u8_with_long, LONG)

/* What has no assembly of its own. The sums are stored, and a function in C called. */
void kq_arm_finish_any(kq_arm_block *block);
KQ_NAKED static void finish_other(kq_arm_block *block KQ_UNUSED) {
  __asm__("add r4, r10, " SUMS "\n"
          "stmia r4, {r0-r3}\n"
          "str r12, [r10, " SAVED "]\n"
          "mov r0, r10\n"
          "bl kq_arm_finish_any\n"
          "ldr r12, [r10, " SAVED "]\n"
          "b kq_arm_next_channel\n");
}

#else

void kq_arm_finish_any(kq_arm_block *block);

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
    kq_arm_finish_any(block);
    block->left -= 1;
  } while (block->left != 0);
}

#endif

/* Any limits, any addend. All addends are read first: the last pixels of a map are the same four times. */
void kq_arm_finish_any(kq_arm_block *block) {
  const kq_operator *op = block->op;
  const kq_tensor *addend = op->input[KQ_ADDEND];
  const int64_t factor = kq_arm_addend_factor(op);
  uint8_t results[KQ_ARM_PIXELS];
  for (uint32_t pixel = 0; pixel < KQ_ARM_PIXELS; ++pixel) {
    const uint32_t place = (uint32_t)(pixel * block->next_pixel);
    const int64_t added = addend == NULL ? 0 : kq_stored(addend->type, block->addend, place) * factor;
    results[pixel] = kq_arm_finish(block->channel, block->sums[pixel], added, op->low.fixed, op->high.fixed);
  }
  for (uint32_t pixel = 0; pixel < KQ_ARM_PIXELS; ++pixel) block->y[pixel * block->next_pixel] = results[pixel];
  block->y += 1;
  block->channel += 1;
  if (addend != NULL) block->addend += kq_bits(addend->type) / 8;
}

void kq_arm_choose_finish(const kq_operator *op, kq_arm_block *block) {
  block->op = op;
#ifdef KQ_ARM_ASSEMBLY
  const kq_tensor *addend = op->input[KQ_ADDEND];
  const int64_t factor = kq_arm_addend_factor(op);
  const int32_t low = op->low.fixed, high = op->high.fixed;
  const bool is_s8 = low == -128 && high == 127, is_u8 = low == 0 && high == 255, is_u7 = low == 0 && high == 127;
  block->finish = finish_other;
  if (addend == NULL) {
    if (is_u8) block->finish = finish_u8;
    if (is_s8) block->finish = finish_s8;
    if (is_u7) block->finish = finish_u7;
  } else if (is_u8 && addend->type == KQ_UFIXED8) {
    const bool is_long = factor >> 32 == 0;
    block->finish = is_long ? finish_u8_with_long : finish_u8_with_high;
    block->addend_factor = (int32_t)(uint32_t)(is_long ? factor : factor >> 32);
  }
#else
  block->finish = kq_arm_finish_any;
#endif
}
