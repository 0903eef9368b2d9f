/* The arithmetic of NUMERICS.md section 2 on integers, and stored values in memory. */
#ifndef KQ_ARITHMETIC_H
#define KQ_ARITHMETIC_H

#include "kq_internal.h"

/* floor(a / 2^places), 0 <= places <= 63. (C leaves >> of a negative number to the compiler: for a < 0 the complement is shifted,
 * floor(a / 2^s) = -1 - floor((-1 - a) / 2^s). Compilers make one arithmetic shift of it.) */
static inline int64_t kq_shift_floor(int64_t a, int places) { return a < 0 ? ~(~a >> places) : a >> places; }

/* low <= high. One limit after the other: so compilers make no branch of it, which a ReLU would mispredict. */
static inline int64_t kq_clamp(int64_t a, int64_t low, int64_t high) {
  if (a > high) a = high;
  return a < low ? low : a;
}

/* clamp(floor(total / 2^shift + 1/2), low, high) for any shift up to 63 (kq_requantize.c). */
int32_t kq_requantize(int64_t total, int shift, int32_t low, int32_t high);

/* Loads and stores through memcpy: the bytes have no type of their own, and 4-byte alignment is all that is known of them. */
static inline int16_t kq_load_s16(const uint8_t *p) {
  int16_t value;
  memcpy(&value, p, sizeof value);
  return value;
}

static inline uint16_t kq_load_u16(const uint8_t *p) {
  uint16_t value;
  memcpy(&value, p, sizeof value);
  return value;
}

static inline float kq_load_f32(const uint8_t *p) {
  float value;
  memcpy(&value, p, sizeof value);
  return value;
}

static inline void kq_store_f32(uint8_t *p, float value) { memcpy(p, &value, sizeof value); }

static inline int8_t kq_load_s8(const uint8_t *p) {
  int8_t value;
  memcpy(&value, p, sizeof value);
  return value;
}

/* Value number i of packed integers of 4 bits, and of 2, earlier ones in lower bits: sign extension as (n ^ 8) - 8. */
static inline int32_t kq_load_s4(const uint8_t *data, uint32_t i) {
  return (int32_t)(((uint32_t)data[i / 2] >> (i % 2 * 4) & 15u) ^ 8u) - 8;
}

static inline int32_t kq_load_s2(const uint8_t *data, uint32_t i) {
  return (int32_t)(((uint32_t)data[i / 4] >> (i % 4 * 2) & 3u) ^ 2u) - 2;
}

/* The low 16 bits. */
static inline void kq_store_16_bits(uint8_t *p, int32_t value) {
  const uint16_t bits = (uint16_t)value;
  memcpy(p, &bits, sizeof bits);
}

/* kq_stored.c: how stored integers of a type are read and written, asked once for all values of a tensor. Value number i of the
 * data; of SIGN, of a row's data, +1 or -1. There is no reader of FLOAT32 (NULL). Writers are those of (U)FIXED8 and (U)FIXED16,
 * for integers that fit the type. */
typedef int32_t (*kq_reader)(const uint8_t *data, uint32_t i);
typedef void (*kq_writer)(uint8_t *data, uint32_t i, int32_t value);
kq_reader kq_reader_of(uint8_t type);
kq_writer kq_writer_of(uint8_t type);

/* A single stored integer. */
int32_t kq_stored(uint8_t type, const uint8_t *data, uint32_t i);

/* Applies the operator's clamp, where it has one, to an output of (U)FIXED8 or (U)FIXED16 that is there already. */
void kq_clamp_all(const kq_operator *op, uint8_t *output);

static inline const uint8_t *kq_input_data(const kq_operator *op, unsigned i, const uint8_t *arena) {
  return arena + op->input[i]->offset;
}

static inline uint8_t *kq_output_data(const kq_operator *op, uint8_t *arena) { return arena + op->output->offset; }

#endif
