/* From sums to stored values in one step: what the weighted kernels of this folder share.
 *
 * t = acc m + b 2^(n_t - n_b) + r 2^(n_t - n_r) is requantized by s = n_t - n_y places (NUMERICS.md section 3). With everything
 * 2^(32 - s) times as large, the high word of (t + 2^(s-1)) 2^(32-s) is the rounded result itself:
 *
 *     high word of  start + acc factor + r addend_factor,   factor = m 2^(32-s),   start = (b 2^(n_t - n_b) + 2^(s-1)) 2^(32-s),
 *                                                           addend_factor = 2^(32 + n_y - n_r)
 *
 * exactly, where these fit: a factor 32 bits; a sum 32 bits (accumulator_bits); hence a product 2^62; and start and addend together
 * what is left of 2^63. kq_arm_can_finish checks that from the constants themselves.
 *
 * FIXED8 outputs are stored 128 too large, as unsigned bytes, so that one saturation serves both types; kq_arm_limit, at the end of an
 * operator, takes that back. */
#ifndef KQ_ARM_FINISH_H
#define KQ_ARM_FINISH_H

#include "../kq_weighted.h"
#include "kq_arm_dsp.h"

typedef struct {
  int32_t factor;
  uint32_t start_low;
  int32_t start_high;
} kq_arm_channel;

/* Sums of products of weights of 2 and 4 bits are so many places to the left (kq_arm_short.h), and their factors to the right. */
enum { KQ_ARM_SHORT_PLACES = 4 };

/* Whether the operator, of an 8-bit output, can be finished so; an addend has 8 bits, too. */
bool kq_arm_can_finish(const kq_operator *op);

/* Where the bias stands to 2^32 times the output: places to the left. 0 without one. */
int kq_arm_bias_places(const kq_operator *op);

/* Whether multipliers and biases are of the formats that a converter writes by default: FIXED16; FIXED16 or FIXED32, at most 30
 * places to the left; or absent. */
bool kq_arm_has_plain_finish(const kq_operator *op);

/* One entry for each of `count` output channels. */
void kq_arm_make_channels(const kq_operator *op, uint32_t first, uint32_t count, kq_arm_channel *channels);

/* addend_factor; 0 without an addend. */
int64_t kq_arm_addend_factor(const kq_operator *op);

/* What is stored of a sum; `addend` is r addend_factor. */
static inline uint8_t kq_arm_finish(const kq_arm_channel *channel, int32_t sum, int64_t addend) {
  const int64_t start = (int64_t)((uint64_t)(uint32_t)channel->start_high << 32 | channel->start_low);
  return (uint8_t)kq_clamp(kq_shift_floor(start + (int64_t)sum * channel->factor + addend, 32), 0, 255);
}

/* A few bytes from anywhere to anywhere. */
void kq_arm_copy(uint8_t *to, const uint8_t *from, uint32_t count);

/* What makes four 8-bit values of the type unsigned, and back. */
static inline uint32_t kq_arm_raise(const kq_tensor *tensor) { return tensor->type == KQ_FIXED8 ? 0x80808080u : 0; }

/* From what was stored to the output: the operator's limits, where they are not those of its type, and FIXED8 as it is. */
void kq_arm_limit(const kq_operator *op, uint8_t *arena);

#endif
