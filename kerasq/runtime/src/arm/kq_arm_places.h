/* Where the assembly of loops finds the fields of kq_arm_block, all of four bytes; kq_arm_results.h has those of finishes. */
#ifndef KQ_ARM_PLACES_H
#define KQ_ARM_PLACES_H

#include "kq_arm_products.h"

#ifdef KQ_ARM_ASSEMBLY
#define X "#0" /* and x_whole */
#define X_END "#8"
#define WEIGHTS "#12"
#define LEFT "#28"
#define FINISH "#32"
#define NEXT "#52"
typedef char places_are_right[offsetof(kq_arm_block, next) == 52 && offsetof(kq_arm_block, left) == 28 ? 1 : -1];
#endif

#endif
