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

/* One row. Inputs that lie side by side are taken four at a time. */
#define ROW_OF_INTEGERS(input, weight)                                                                           \
  weights += (size_t)first * BYTES_##weight;                                                                     \
  if (step == BYTES_##input) {                                                                                   \
    for (; count >= 4; count -= 4, x += 4 * BYTES_##input, weights += 4 * BYTES_##weight) {                      \
      sum += PRODUCT(input, weight, 0);                                                                          \
      sum += PRODUCT(input, weight, 1);                                                                          \
      sum += PRODUCT(input, weight, 2);                                                                          \
      sum += PRODUCT(input, weight, 3);                                                                          \
    }                                                                                                            \
  }                                                                                                              \
  for (; count != 0; --count, x += step, weights += BYTES_##weight) sum += PRODUCT(input, weight, 0);            \
  return sum;

/* Weights of 4 bits. Like all that are smaller than a byte, their inputs lie side by side. */
#define ROW_OF_NIBBLES(input)                                                                                    \
  for (; count != 0; --count, ++first, x += BYTES_##input) sum += LOAD_##input(x, 0) * kq_load_s4(weights, first);  \
  return sum;

/* Weights of 2 bits, of which the higher is inverted: so they are 2 more than they stand for. Whole bytes are taken at once. */
#define TAKE_PART(input, i) sum += LOAD_##input(x, i) * ((int32_t)(parts >> 2 * (i) & 3u) - 2)
#define ROW_OF_PARTS(input)                                                                                      \
  const uint32_t end = first + count;                                                                            \
  while (first < end) {                                                                                          \
    uint32_t parts = weights[first / 4] ^ 0xAAu;                                                                 \
    if (first % 4 == 0 && end - first >= 4) {                                                                    \
      TAKE_PART(input, 0), TAKE_PART(input, 1), TAKE_PART(input, 2), TAKE_PART(input, 3);                        \
      first += 4;                                                                                                \
      x += 4 * BYTES_##input;                                                                                    \
    } else {                                                                                                     \
      parts >>= first % 4 * 2;                                                                                   \
      TAKE_PART(input, 0);                                                                                       \
      first += 1;                                                                                                \
      x += BYTES_##input;                                                                                        \
    }                                                                                                            \
  }                                                                                                              \
  return sum;

/* Bits 1 and 0 are +1 and -1: the sum of the inputs under ones, less that of the others, each of which the proof keeps inside 32
 * bits. With -bit = -1 or 0, x & -bit is x or 0. Whole bytes of weights are taken at once. */
#define TAKE(input, i) sum += LOAD_##input(x, i), ones += LOAD_##input(x, i) & -(int32_t)(bits >> (i) & 1)
#define ROW_OF_SIGNS(input)                                                                                      \
  int32_t ones = 0;                                                                                              \
  const uint32_t end = first + count;                                                                            \
  while (first < end) {                                                                                          \
    uint32_t bits = weights[first / 8];                                                                          \
    if (first % 8 == 0 && end - first >= 8) {                                                                    \
      TAKE(input, 0), TAKE(input, 1), TAKE(input, 2), TAKE(input, 3);                                            \
      TAKE(input, 4), TAKE(input, 5), TAKE(input, 6), TAKE(input, 7);                                            \
      first += 8;                                                                                                \
      x += 8 * BYTES_##input;                                                                                    \
    } else {                                                                                                     \
      bits >>= first % 8;                                                                                        \
      TAKE(input, 0);                                                                                            \
      first += 1;                                                                                                \
      x += BYTES_##input;                                                                                        \
    }                                                                                                            \
  }                                                                                                              \
  return ones - (sum - ones);

/* A function of its own for a row: compilers keep all of it in registers then. */
#define DOT(input, weight, ROW)                                                                                  \
  static inline int32_t row_##input##_##weight(const uint8_t *x, const uint8_t *weights, uint32_t first,         \
                                               uint32_t count, size_t step) {                                    \
    int32_t sum = 0;                                                                                             \
    (void)step;                                                                                                  \
    ROW                                                                                                          \
  }                                                                                                              \
  int32_t kq_dot_##input##_##weight(const kq_strips *strips, const uint8_t *x, const uint8_t *weights,           \
                                    uint32_t first) {                                                            \
    int32_t sum = 0;                                                                                             \
    for (uint32_t rows = strips->rows; rows != 0; --rows) {                                                      \
      sum += row_##input##_##weight(x, weights, first, strips->count, strips->step);                             \
      x += strips->next_row;                                                                                     \
      first += strips->weights_of_row;                                                                           \
    }                                                                                                            \
    return sum;                                                                                                  \
  }

#define DOTS(input)                                                                                              \
  DOT(input, s8, ROW_OF_INTEGERS(input, s8)) DOT(input, s16, ROW_OF_INTEGERS(input, s16))                        \
  DOT(input, s4, ROW_OF_NIBBLES(input)) DOT(input, s2, ROW_OF_PARTS(input)) DOT(input, sign, ROW_OF_SIGNS(input))

DOTS(s8)
DOTS(u8)
DOTS(s16)
DOTS(u16)
