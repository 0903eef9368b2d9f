/* Four pixels by all output channels: sums of products of 8-bit inputs, widened to 16 bits once for all channels, by 8-bit weights
 * as they are stored, of a channel, or of two at a time where their rows lie in pairs.
 *
 * Widened inputs come in turns of four values k0..k3 of four pixels: eight words, (k1, k3) of each pixel, then (k0, k2) of each, as
 * halfwords. SXTB16 of a word of weights, and of the word rotated by a byte, gives the same pairs, so nothing else is rearranged. Of
 * rows in pairs it gives such a pair of each of both channels, so that inputs are loaded half as often. */
#ifndef KQ_ARM_PRODUCTS_H
#define KQ_ARM_PRODUCTS_H

#include "kq_arm_finish.h"

enum { KQ_ARM_PIXELS = 4, KQ_ARM_TURN = 4, KQ_ARM_TURN_WORDS = 8, KQ_ARM_TURNS_AT_ONCE = KQ_UNROLL(4, 1) };

/* What the loop needs, and what it keeps here while it runs: the assembly knows the places of the first fields. */
typedef struct kq_arm_block {
  const uint32_t *x, *x_whole, *x_end; /* widened inputs, the end of whole groups of KQ_ARM_TURNS_AT_ONCE turns, the end */
  const uint8_t *weights;              /* rows of whole words, one after the other */
  const kq_arm_channel *channel;       /* of the current output channel, as are the next two */
  uint8_t *y;
  size_t next_pixel; /* from an output, or addend, to that of the next pixel; 0 where all four are the same */
  uint32_t left;     /* channels */
  void (*finish)(struct kq_arm_block *);
  const uint8_t *addend;
  int32_t addend_factor[2]; /* low and high half; the low one counts as signed */
  uint32_t saved;
  void (*next)(void); /* where a finish goes on */
  int32_t sums[KQ_ARM_PIXELS];
  int32_t all[KQ_ARM_PIXELS]; /* kq_arm_signs.h */
  const kq_operator *op;
} kq_arm_block;

/* Every channel from block->channel on; of rows in pairs, an even number of them. `next` is set. */
typedef void (*kq_arm_multiply)(kq_arm_block *block);
void kq_arm_products(kq_arm_block *block);
void kq_arm_pair_products(kq_arm_block *block);

/* How the results of an operator are finished, without and with an addend: sets `op`, `finish` and `addend_factor`. */
typedef void (*kq_arm_choose)(const kq_operator *op, kq_arm_block *block);
void kq_arm_choose_finish(const kq_operator *op, kq_arm_block *block);
void kq_arm_choose_finish_with_addend(const kq_operator *op, kq_arm_block *block);

/* Widens `words` words of four bytes of each of four pixels, and moves the pointers behind them. Returns the end of the turns. */
uint32_t *kq_arm_widen_s8(uint32_t *turns, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t words);
uint32_t *kq_arm_widen_u8(uint32_t *turns, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t words);

#endif
