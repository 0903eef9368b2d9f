/* What CONV_2D and DENSE share: sums of inputs by weights, and the stages after the sum. */
#ifndef KQ_WEIGHTED_H
#define KQ_WEIGHTED_H

#include "kq_arithmetic.h"

enum { KQ_X, KQ_KERNEL, KQ_MULTIPLIER, KQ_BIAS, KQ_ADDEND }; /* input[] of a weighted operator; only CONV_2D has an addend */

/* The sum of `count` neighbouring inputs by as many neighbouring weights, from weight number `first` of `weights` on. The
 * accumulator proof says that no partial sum overflows. */
typedef int32_t (*kq_dot)(const uint8_t *x, const uint8_t *weights, uint32_t first, uint32_t count);

/* n_t = n_x + n_w + n_m: fractional bits after the multiplier. */
int kq_total_frac_bits(const kq_operator *op);

/* t = sum * m + b * 2^(n_t - n_b) of a channel. */
int64_t kq_total(const kq_operator *op, uint32_t channel, int64_t sum);

/* Bytes from one output channel's weights to the next where each channel begins a byte of its own (SIGN, and types of whole
 * bytes); 0 for FIXED4, whose channels may share a byte. */
uint32_t kq_row_bytes(const kq_tensor *kernel);

/* Weight number `index` of an output channel, any type: a stored integer, +1 or -1. */
int32_t kq_weight(const kq_tensor *kernel, uint32_t channel, uint32_t index);

#endif
