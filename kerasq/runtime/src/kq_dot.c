/* Inner loops: one function for each type of input and of weights, so that a program links only those it uses. */
#include "kq_dot.h"

#define LOAD_s8(x, i) kq_load_s8((x) + (i))
#define LOAD_u8(x, i) ((int32_t)(x)[i])
#define LOAD_s16(x, i) kq_load_s16((x) + (size_t)(i) * 2)
#define LOAD_u16(x, i) ((int32_t)kq_load_u16((x) + (size_t)(i) * 2))
#define BYTES_s8 1u
#define BYTES_u8 1u
#define BYTES_s16 2u
#define BYTES_u16 2u

#define PRODUCT(input, weight, i) LOAD_##input(x, i) * LOAD_##weight(weights, i)

#define DOT_INTEGERS(input, weight)                                                                              \
  int32_t kq_dot_##input##_##weight(const uint8_t *x, const uint8_t *weights, uint32_t first, uint32_t count) {  \
    int32_t sum = 0;                                                                                             \
    weights += (size_t)first * BYTES_##weight;                                                                   \
    for (; count >= 4; count -= 4, x += 4 * BYTES_##input, weights += 4 * BYTES_##weight) {                      \
      sum += PRODUCT(input, weight, 0);                                                                          \
      sum += PRODUCT(input, weight, 1);                                                                          \
      sum += PRODUCT(input, weight, 2);                                                                          \
      sum += PRODUCT(input, weight, 3);                                                                          \
    }                                                                                                            \
    for (uint32_t i = 0; i < count; ++i) sum += PRODUCT(input, weight, i);                                       \
    return sum;                                                                                                  \
  }

#define DOT_NIBBLES(input)                                                                                       \
  int32_t kq_dot_##input##_s4(const uint8_t *x, const uint8_t *weights, uint32_t first, uint32_t count) {        \
    int32_t sum = 0;                                                                                             \
    for (uint32_t i = 0; i < count; ++i) sum += LOAD_##input(x, i) * kq_load_s4(weights, first + i);             \
    return sum;                                                                                                  \
  }

/* Bits 1 and 0 are +1 and -1: the sum of the inputs under ones, less that of the others, each of which the proof keeps inside 32
 * bits. With -bit = -1 or 0, x & -bit is x or 0. Whole bytes of weights are taken at once. */
#define TAKE(input, i) all += LOAD_##input(x, i), ones += LOAD_##input(x, i) & -(int32_t)(bits >> (i) & 1)
#define DOT_SIGNS(input)                                                                                         \
  int32_t kq_dot_##input##_sign(const uint8_t *x, const uint8_t *weights, uint32_t first, uint32_t count) {      \
    int32_t all = 0, ones = 0;                                                                                   \
    const uint32_t end = first + count;                                                                          \
    while (first < end) {                                                                                        \
      uint32_t bits = weights[first / 8];                                                                        \
      if (first % 8 == 0 && end - first >= 8) {                                                                  \
        TAKE(input, 0), TAKE(input, 1), TAKE(input, 2), TAKE(input, 3);                                          \
        TAKE(input, 4), TAKE(input, 5), TAKE(input, 6), TAKE(input, 7);                                          \
        first += 8;                                                                                              \
        x += 8 * BYTES_##input;                                                                                  \
      } else {                                                                                                   \
        bits >>= first % 8;                                                                                      \
        TAKE(input, 0);                                                                                          \
        first += 1;                                                                                              \
        x += BYTES_##input;                                                                                      \
      }                                                                                                          \
    }                                                                                                            \
    return ones - (all - ones);                                                                                  \
  }

#define DOTS(input) \
  DOT_INTEGERS(input, s8) DOT_INTEGERS(input, s16) DOT_NIBBLES(input) DOT_SIGNS(input)

DOTS(s8)
DOTS(u8)
DOTS(s16)
DOTS(u16)
