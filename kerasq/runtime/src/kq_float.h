/* Operators that compute in float: reading any input as its value, writing any output format. Used by `float` and `to_float`
 * kernels only, so that a fixed-point model links nothing of it. */
#ifndef KQ_FLOAT_H
#define KQ_FLOAT_H

#include "kq_weighted.h"

/* 2^places, exactly, for -1022 <= places <= 1023. */
double kq_power_of_two(int places);

/* Value number i of a tensor's stored data, rounded to float32 once. Not of SIGN. */
float kq_value(const kq_tensor *tensor, const uint8_t *data, uint32_t i);

/* integer * 2^places, rounded to float32 once. */
float kq_scaled_float(int64_t integer, int places);

/* Store a float32 result as value number i of the output: clamped; rounded and saturated where it is fixed, NaN as 0. */
void kq_put_float(const kq_operator *op, uint8_t *output, uint32_t i, float value);

/* sum * m + b of an output channel. */
float kq_float_total(const kq_operator *op, uint32_t channel, float sum);

/* The same, stored. */
void kq_finish_float(const kq_operator *op, uint32_t channel, float sum, uint8_t *output, uint32_t i);

/* e^x for x <= 0, to about 1e-13 relative; 0 where that underflows, NaN for NaN. */
double kq_exp(double x);

#endif
