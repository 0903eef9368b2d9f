/* Eight pixels by all output channels, weights of one bit: sums of inputs looked up, four inputs at a time.
 *
 * Output channels share their inputs, so the sixteen sums of some of four inputs are computed once for all of them: entry n has those
 * whose bits are set in n. A channel then takes an addition per four inputs, and at the end 2 * (sum under ones) - (sum of all). The
 * eight pixels are 16-bit fields of four words. Fields are unsigned, so that nothing is carried from one to the next: signed inputs
 * are raised by 128, which the finish takes back, and fields are emptied into 32 bits before they overflow, after KQ_ARM_SAFE_WORDS
 * words of weights: 8 * 32 * 255 < 2^16. */
#ifndef KQ_ARM_SIGNS_H
#define KQ_ARM_SIGNS_H

#include "kq_arm_products.h"

enum {
  KQ_ARM_SIGN_PIXELS = 8,
  KQ_ARM_SIGN_INPUTS = 32, /* one word of weights */
  KQ_ARM_SAFE_WORDS = 8,
  KQ_ARM_FIELD_WORDS = 4,  /* of a sum, or an entry */
  KQ_ARM_ENTRIES = 16,
  KQ_ARM_TABLE_WORDS = 8 * KQ_ARM_ENTRIES * KQ_ARM_FIELD_WORDS
};

/* 32 inputs of each pixel side by side, bits of `mask` changed. The pointers move behind them; they are multiples of 4. */
void kq_arm_copy_inputs(uint32_t *inputs, const uint8_t *pixels[KQ_ARM_SIGN_PIXELS], uint32_t mask);

/* The tables of all eight groups of four inputs, but for the first entries, which are 0. */
void kq_arm_make_tables(uint32_t *tables, const uint32_t *inputs);

/* Adds what a word of weights selects to the fields of each channel, up to `end`; from one channel's weights to the next are
 * `stride` bytes. */
void kq_arm_look_up(const uint32_t *tables, const uint8_t *weights, size_t stride, uint32_t *fields, const uint32_t *end);

/* Finishes four of the pixels: their sums under ones are fields, of which the pixels' two words are `fields`, or whole numbers, four
 * a channel. block->all has the sums of all inputs. */
void kq_arm_finish_fields(kq_arm_block *block, const uint32_t *fields);
void kq_arm_finish_totals(kq_arm_block *block, const int32_t *totals);

#endif
