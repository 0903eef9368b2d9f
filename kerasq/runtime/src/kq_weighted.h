/* What CONV_2D and DENSE share: sums of inputs by weights, and the stages after the sum. */
#ifndef KQ_WEIGHTED_H
#define KQ_WEIGHTED_H

#include "kq_arithmetic.h"

/* input[] of a weighted operator. Both kinds list these in the same order; only CONV_2D has an addend. */
enum {
  KQ_X = KQ_CONV_2D_INPUT, KQ_KERNEL = KQ_CONV_2D_KERNEL, KQ_MULTIPLIER = KQ_CONV_2D_MULTIPLIER, KQ_BIAS = KQ_CONV_2D_BIAS,
  KQ_ADDEND = KQ_CONV_2D_ADDEND
};
typedef char kq_dense_is_listed_alike[(int)KQ_DENSE_INPUT == (int)KQ_X && (int)KQ_DENSE_KERNEL == (int)KQ_KERNEL &&
                                              (int)KQ_DENSE_MULTIPLIER == (int)KQ_MULTIPLIER && (int)KQ_DENSE_BIAS == (int)KQ_BIAS
                                          ? 1
                                          : -1];

/* n_t = n_x + n_w + n_m: fractional bits after the multiplier. */
int kq_total_frac_bits(const kq_operator *op);

/* What is multiplied or added to all sums: one stored value for each channel, or for each value of the output. */
typedef struct {
  const uint8_t *data; /* NULL where there are none */
  kq_reader read;
  int64_t factor; /* 2^(n_t - n) of a summand */
} kq_term;

/* From sums to totals, t = sum * m + b * 2^(n_t - n_b) + r * 2^(n_t - n_r): what all channels of all pixels share. */
typedef struct {
  kq_term multiplier, bias, addend;
  int shift; /* of a total to the output's fractional bits; n_t where that is FLOAT32 */
} kq_totals;

/* Where `arena` is NULL, without the addend. */
kq_totals kq_totals_of(const kq_operator *op, const uint8_t *arena);

/* t of an output channel, for value number `place` of the output. The addend is read before the output value of the same place is
 * written, and may lie there. */
int64_t kq_total(const kq_totals *totals, uint32_t channel, uint32_t place, int64_t sum);

/* What becomes of a sum of 32 bits: requantized, it is value number `place` of the output, in channel `channel`. */
typedef struct {
  kq_totals totals;
  const kq_operator *op;
  uint8_t *output;
  kq_writer write;
} kq_finish;
void kq_set_finish(kq_finish *finish, const kq_operator *op, uint8_t *arena);
void kq_put_sum(const kq_finish *finish, uint32_t channel, uint32_t place, int32_t sum);

/* Where a kernel's weights lie. Number i of output channel c is value number c * values + i from byte c * bytes on: each channel
 * begins a byte of its own (SIGN, and types of whole bytes), or, as of FIXED4 and FIXED2, none does. */
typedef struct {
  const uint8_t *data;
  kq_reader read;
  uint32_t bytes, values; /* one of them is 0 */
  uint32_t paired;        /* weights of an output channel, where two lie in one (KQ_LAYOUT_PAIRS); then both are 0 */
} kq_rows;
kq_rows kq_rows_of(const kq_tensor *kernel);

/* Weight number `index` of an output channel, of a fixed type or SIGN: a stored integer, +1 or -1. */
uint32_t kq_place_in_pairs(uint32_t weights, uint32_t channel, uint32_t index);
static inline int32_t kq_weight(const kq_rows *rows, uint32_t channel, uint32_t index) {
  if (rows->paired != 0) return rows->read(rows->data, kq_place_in_pairs(rows->paired, channel, index));
  return rows->read(rows->data + (size_t)channel * rows->bytes, channel * rows->values + index);
}

#endif
