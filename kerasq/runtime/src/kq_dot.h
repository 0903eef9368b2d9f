#ifndef KQ_DOT_H
#define KQ_DOT_H

#include "kq_weighted.h"

/* Inputs by weights: `rows` rows of `count` products. In a row inputs lie `step` bytes apart, and weights side by side; where these
 * are smaller than a byte, inputs lie side by side, too. */
typedef struct {
  uint32_t rows, count;
  uint32_t weights_of_row; /* from a row's first weight to the next row's */
  size_t step, next_row;   /* bytes of input */
} kq_strips;

/* The sum of the products, from weight number `first` of `weights` on. The accumulator proof says that no partial sum overflows. */
typedef int32_t (*kq_dot)(const kq_strips *strips, const uint8_t *x, const uint8_t *weights, uint32_t first);

/* X(input, weight, input type, weight type) for each inner loop with 32-bit sums. */
#define KQ_DOTS(X)                                                                                          \
  X(s8, s8, KQ_FIXED8, KQ_FIXED8) X(s8, sign, KQ_FIXED8, KQ_SIGN)                                           \
  X(s8, s4, KQ_FIXED8, KQ_FIXED4) X(s8, s16, KQ_FIXED8, KQ_FIXED16) X(s8, s2, KQ_FIXED8, KQ_FIXED2)         \
  X(u8, s8, KQ_UFIXED8, KQ_FIXED8) X(u8, sign, KQ_UFIXED8, KQ_SIGN)                                         \
  X(u8, s4, KQ_UFIXED8, KQ_FIXED4) X(u8, s16, KQ_UFIXED8, KQ_FIXED16) X(u8, s2, KQ_UFIXED8, KQ_FIXED2)      \
  X(s16, s8, KQ_FIXED16, KQ_FIXED8) X(s16, sign, KQ_FIXED16, KQ_SIGN)                                       \
  X(s16, s4, KQ_FIXED16, KQ_FIXED4) X(s16, s16, KQ_FIXED16, KQ_FIXED16) X(s16, s2, KQ_FIXED16, KQ_FIXED2)   \
  X(u16, s8, KQ_UFIXED16, KQ_FIXED8) X(u16, sign, KQ_UFIXED16, KQ_SIGN)                                     \
  X(u16, s4, KQ_UFIXED16, KQ_FIXED4) X(u16, s16, KQ_UFIXED16, KQ_FIXED16) X(u16, s2, KQ_UFIXED16, KQ_FIXED2)

#define KQ_DECLARE_DOT(input, weight, input_type, weight_type) \
  int32_t kq_dot_##input##_##weight(const kq_strips *strips, const uint8_t *x, const uint8_t *weights, uint32_t first);
KQ_DOTS(KQ_DECLARE_DOT)

#endif
