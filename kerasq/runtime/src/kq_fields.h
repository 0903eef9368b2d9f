/* Reading the tables of a file that kq_read_structure has found sound: nothing is checked here.
 *
 * The slots are those of kerasq.fbs. An absent number reads as the default that is asked for, an absent vector as an empty
 * one. */
#ifndef KQ_FIELDS_H
#define KQ_FIELDS_H

#include "kq_internal.h"

enum { TENSOR_NAME, TENSOR_SHAPE, TENSOR_TYPE, TENSOR_FRAC_BITS, TENSOR_DATA, TENSOR_OFFSET, TENSOR_LAYOUT, TENSOR_SLOTS };
enum { WINDOW_SIZE, WINDOW_STRIDES = 2, WINDOW_DILATIONS = 4, WINDOW_PADDING = 6, WINDOW_GROUPS = 10, WINDOW_CENTERED, WINDOW_ZERO, WINDOW_SLOTS };
enum { CLAMP_FIXED, CLAMP_FLOAT = 2, CLAMP_SLOTS = 4 };
enum {
  OPERATOR_KIND, OPERATOR_INPUTS, OPERATOR_OUTPUTS, OPERATOR_WINDOW, OPERATOR_CLAMP, OPERATOR_ACCUMULATOR_BITS,
  OPERATOR_TOTAL_BITS, OPERATOR_SCRATCH_OFFSET, OPERATOR_SCRATCH_BYTES, OPERATOR_SLOTS
};
enum { METADATA_KEY, METADATA_VALUE, METADATA_SLOTS };
enum { TEST_INPUT, TEST_CHECKSUMS, TEST_SLOTS };
enum {
  MODEL_FORMAT_VERSION, MODEL_TENSORS, MODEL_OPERATORS, MODEL_INPUTS, MODEL_OUTPUTS, MODEL_ARENA_BYTES, MODEL_ARENA_ALIGNMENT,
  MODEL_METADATA, MODEL_TEST, MODEL_INPUT_NAMES, MODEL_OUTPUT_NAMES, MODEL_SLOTS
};

/* Where a field lies; NULL where it is absent. */
const uint8_t *kq_field(const uint8_t *table, uint32_t slot);

/* An unsigned number of 1, 2 or 4 bytes. */
uint32_t kq_number(const uint8_t *table, uint32_t slot, uint32_t size, uint32_t absent);

/* What a reference leads to. */
static inline const uint8_t *kq_follow(const uint8_t *reference) { return reference + kq_u32(reference); }

/* The elements of a vector, or the bytes of a string. Never NULL. */
typedef struct {
  const uint8_t *elements;
  uint32_t count;
} kq_vector;
kq_vector kq_vector_field(const uint8_t *table, uint32_t slot);

#endif
