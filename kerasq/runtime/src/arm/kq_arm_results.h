/* The assembly of finishes for kq_arm_block. They find sums of four pixels in r0-r3 and the block in r10, keep r12 and the stack, and
 * jump to block->next. */
#ifndef KQ_ARM_RESULTS_H
#define KQ_ARM_RESULTS_H

#include "kq_arm_products.h"

#ifdef KQ_ARM_ASSEMBLY

/* Places of kq_arm_block. */
#define CHANNEL "#16"
#define Y "#20" /* and next_pixel */
#define NEXT_PIXEL "#24"
#define ADDEND "#36"
#define ADDEND_FACTOR "#40"
#define SAVED "#48"
#define NEXT "#52"
typedef char results_places_are_right[offsetof(kq_arm_block, next) == 52 && offsetof(kq_arm_block, y) == 20 ? 1 : -1];

#define SATURATE(result, high) "usat " result ", #8, " high "\n"

#define STORE_RESULTS                    \
  "ldrd r4, r5, [r10, " Y "]\n"          \
  "strb r0, [r4]\n"                      \
  "strb r1, [r4, r5]\n"                  \
  "add r6, r4, r5, lsl #1\n"             \
  "strb r2, [r6]\n"                      \
  "strb r3, [r6, r5]\n"                  \
  "adds r4, #1\n"                        \
  "str r4, [r10, " Y "]\n"               \
  "ldr pc, [r10, " NEXT "]\n"

#endif
#endif
