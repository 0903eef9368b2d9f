/* Three outputs of a Dense layer at a time: inputs are widened once for all of them (kq_arm_products.h has the order, here of one
 * pixel), weights are read as they are stored. */
#ifndef KQ_ARM_DENSE_H
#define KQ_ARM_DENSE_H

#include "kq_arm_finish.h"

enum { KQ_ARM_ROWS = 3, KQ_ARM_ROW_STEP = 8, KQ_ARM_STEPS_AT_ONCE = KQ_UNROLL(4, 1) }; /* rows of weights, inputs of a step */

/* What both kernels demand, the size of the scratch memory apart. */
static inline bool kq_arm_can_multiply_rows(const kq_operator *op) {
  const uint8_t type = op->input[KQ_X]->type;
  return (type == KQ_FIXED8 || type == KQ_UFIXED8) && op->input[KQ_KERNEL]->shape[1] % KQ_ARM_ROW_STEP == 0 &&
         kq_arm_can_finish(op);
}

/* Whether kq_dense_rows_dsp computes an operator, of those that kq_dense_dsp could: few outputs are not worth code of their own. */
static inline bool kq_arm_has_many_rows(const kq_operator *op) {
  return op->input[KQ_KERNEL]->shape[0] >= 24 && kq_arm_has_plain_finish(op);
}

#ifdef KQ_ARM_ASSEMBLY
/* Eight inputs of a row: r6-r9 their pairs. */
#define KQ_ARM_DENSE_ROW(sum, weights)       \
  "ldrd r10, r11, [" weights "], #8\n"       \
  "sxtb16 r12, r10, ror #8\n"                \
  "sxtb16 r10, r10\n"                        \
  "smlad " sum ", r12, r6, " sum "\n"        \
  "sxtb16 r12, r11, ror #8\n"                \
  "smlad " sum ", r10, r7, " sum "\n"        \
  "sxtb16 r11, r11\n"                        \
  "smlad " sum ", r12, r8, " sum "\n"        \
  "smlad " sum ", r11, r9, " sum "\n"

/* Of three rows: r0-r2 sums, r3-r5 weights, lr inputs. */
#define KQ_ARM_DENSE_STEP \
  "ldmia lr!, {r6-r9}\n" KQ_ARM_DENSE_ROW("r0", "r3") KQ_ARM_DENSE_ROW("r1", "r4") KQ_ARM_DENSE_ROW("r2", "r5")

/* Places of the fields that both kernels' blocks begin with, all of four bytes. */
#define KQ_ARM_DENSE_X "#0" /* and x_whole */
#define KQ_ARM_DENSE_X_END "#8"
#define KQ_ARM_DENSE_WEIGHTS "#12"
#define KQ_ARM_DENSE_ROW_BYTES "#16"

/* A function's begin, and the sums of three rows after three: the block is in r6, r5 behind the weights. Each time what finishes them
 * follows, and jumps back to 1 with r5 and r6 kept. The block and the end of whole steps, `unroll` of them at once, are on the stack. */
#define KQ_ARM_DENSE_SUMS(unroll)                     \
  "ldr r1, [r0, #4]\n"                               \
  "push {r0, r1, r4-r11, lr}\n"                      \
  "mov r6, r0\n"                                     \
  "ldr r5, [r6, " KQ_ARM_DENSE_WEIGHTS "]\n"         \
  "1:\n"                                             \
  "ldr r7, [r6, " KQ_ARM_DENSE_ROW_BYTES "]\n"       \
  "mov r3, r5\n"                                     \
  "add r4, r3, r7\n"                                 \
  "add r5, r4, r7\n"                                 \
  "ldrd lr, r7, [r6, " KQ_ARM_DENSE_X "]\n"          \
  "movs r0, #0\n"                                    \
  "movs r1, #0\n"                                    \
  "movs r2, #0\n"                                    \
  "cmp lr, r7\n"                                     \
  "beq 3f\n"                                         \
  ".if " unroll " > 1\n"                             \
  "2:\n"                                             \
  ".rept " unroll "\n" KQ_ARM_DENSE_STEP ".endr\n"  \
  "ldr r6, [sp, #4]\n"                               \
  "cmp lr, r6\n"                                     \
  "bne 2b\n"                                         \
  "ldr r6, [sp]\n"                                   \
  ".endif\n"                                         \
  "3:\n"                                             \
  "ldr r7, [r6, " KQ_ARM_DENSE_X_END "]\n"           \
  "cmp lr, r7\n"                                     \
  "beq 5f\n"                                         \
  "4:\n" KQ_ARM_DENSE_STEP                           \
  "ldr r6, [sp]\n"                                   \
  "ldr r7, [r6, " KQ_ARM_DENSE_X_END "]\n"           \
  "cmp lr, r7\n"                                     \
  "bne 4b\n"                                         \
  "5:\n"

/* The function's end. */
#define KQ_ARM_DENSE_RETURN "add sp, #8\npop {r4-r11, pc}\n"
#endif

/* The sum of one output. */
static inline int32_t kq_arm_dense_dot(const uint32_t *x, const uint32_t *end, const uint8_t *weights) {
  int32_t sum = 0;
  for (; x != end; x += 2, weights += 4) {
    const uint32_t word = kq_load_word(weights);
    sum = kq_smlad(kq_even_bytes(word, true), x[1], kq_smlad(kq_odd_bytes(word, true), x[0], sum));
  }
  return sum;
}

/* All inputs as halfwords, in the order of the products; returns their end. */
static inline const uint32_t *kq_arm_widen_inputs(const kq_operator *op, const uint8_t *x, uint32_t *to) {
  const bool is_signed = op->input[KQ_X]->type == KQ_FIXED8;
  for (const uint8_t *const end = x + op->input[KQ_KERNEL]->shape[1]; x != end; x += 4) {
    const uint32_t word = kq_load_word(x);
    *to++ = kq_odd_bytes(word, is_signed);
    *to++ = kq_even_bytes(word, is_signed);
  }
  return to;
}

/* The assembly knows the places of all fields. */
typedef struct kq_arm_dense {
  const uint32_t *x, *x_whole, *x_end; /* widened inputs, the end of whole groups of KQ_ARM_STEPS_AT_ONCE, the end */
  const uint8_t *weights;
  size_t row_bytes;
  const kq_arm_channel *channel;
  uint8_t *y;
  uint32_t left; /* groups of three outputs */
} kq_arm_dense;

void kq_arm_dense_rows(kq_arm_dense *dense);

#endif
