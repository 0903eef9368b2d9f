/* Operators that compute in float: reading any input as its value, writing any output format. Used by `float` and `to_float`
 * kernels only, so that a fixed-point model links nothing of it. */
#ifndef KQ_FLOAT_H
#define KQ_FLOAT_H

#include "kq_weighted.h"

/* 2^places, exactly, for -1022 <= places <= 1023. */
double kq_power_of_two(int places);

/* How the values of a tensor are read as float32, asked once for all of them. */
typedef struct {
  kq_reader read; /* NULL for FLOAT32 */
  double scale;   /* 2^-frac_bits */
} kq_values;
kq_values kq_values_of(const kq_tensor *tensor);

/* Value number i of the stored data, rounded to float32 once. */
float kq_value(const kq_values *values, const uint8_t *data, uint32_t i);

/* Weight number `index` of an output channel. */
static inline float kq_float_weight(const kq_rows *rows, const kq_values *values, uint32_t channel, uint32_t index) {
  return kq_value(values, rows->data + (size_t)channel * rows->bytes, channel * rows->values + index);
}

/* integer * 2^places, rounded to float32 once. */
float kq_scaled_float(int64_t integer, int places);

/* Store a float32 result as value number i of the output: clamped; rounded and saturated where it is fixed, NaN as 0. */
void kq_put_float(const kq_operator *op, uint8_t *output, uint32_t i, float value);

/* From sums to totals, t = sum * m + b + r, each step rounded to float32: what all channels of all pixels share. */
typedef struct {
  const uint8_t *multiplier, *bias, *addend; /* stored values; NULL where there are none */
  kq_values multipliers, biases, addends;
} kq_float_totals;
kq_float_totals kq_float_totals_of(const kq_operator *op, const uint8_t *arena); /* NULL: without the addend */

/* t of an output channel, for value number `place` of the output. */
float kq_float_total(const kq_float_totals *totals, uint32_t channel, uint32_t place, float sum);

/* e^x for x <= 0, to about 1e-13 relative; 0 where that underflows, NaN for NaN. */
double kq_exp(double x);

#endif
