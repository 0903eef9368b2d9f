/* Four pixels by all output channels: sums of products of 8-bit inputs, widened to 16 bits, by weights of 2 or 4 bits, as they are
 * stored.
 *
 * A word holds 16 or 8 weights of a channel. With the highest bit of each inverted they are 2 or 8 more than they stand for, and an
 * AND with a mask gives two of them as halfwords, half a word apart; so does the word shifted by 2 or 4 bits, and so on. Inputs are
 * widened in the same pairs, half of 16 or 8 apart: a turn is a word of weights, of each of its pairs a word for each pixel. Sums
 * begin with what the weights are too much: -2 or -8 times the sum of the inputs, which is computed once for all channels.
 *
 * The mask leaves 4 bits below each weight: sums are 2^KQ_ARM_SHORT_PLACES times as large. So small sums, as few short weights give,
 * may become outputs of all 8 bits, for which their factor would be too large (kq_arm_finish.h). */
#ifndef KQ_ARM_SHORT_H
#define KQ_ARM_SHORT_H

#include "kq_arm_products.h"

/* Every channel from block->channel on. Sets block->all. */
void kq_arm_products_s2(kq_arm_block *block);
void kq_arm_products_s4(kq_arm_block *block);

/* By type of input and of weights: as kq_arm_widen_s8; `words` are those of whole turns. */
uint32_t *kq_arm_widen_s8_s2(uint32_t *turns, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t words);
uint32_t *kq_arm_widen_u8_s2(uint32_t *turns, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t words);
uint32_t *kq_arm_widen_s8_s4(uint32_t *turns, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t words);
uint32_t *kq_arm_widen_u8_s4(uint32_t *turns, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t words);

#endif
