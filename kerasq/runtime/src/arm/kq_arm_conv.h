/* Convolutions of 8-bit inputs by 8-bit weights, all channels in one group, four output pixels at a time. */
#ifndef KQ_ARM_CONV_H
#define KQ_ARM_CONV_H

#include "kq_arm_block.h"
#include "kq_arm_products.h"

/* Whether an operator can be computed so, without and with an addend, and the scratch memory that it takes. */
bool kq_arm_can_convolve(const kq_operator *op);
bool kq_arm_can_convolve_with_addend(const kq_operator *op);
size_t kq_arm_conv_scratch(const kq_operator *op);

/* `products` computes blocks; op->kernel->inner widens their inputs. */
void kq_arm_convolve(const kq_operator *op, uint8_t *arena, kq_arm_choose choose, kq_arm_multiply products);

#endif
