/* Generated from the table of operators in kerasq/ops: python -m kerasq.format.regenerate. */
#ifndef KQ_OPERATORS_H
#define KQ_OPERATORS_H

#include "kerasq.h"

#define KQ_MAX_INPUTS 5 /* of an operator */

/* Limits of a file: kerasq/format/schema.py. */
#define KQ_MIN_FRAC_BITS (-32)
#define KQ_MAX_FRAC_BITS 63
#define KQ_MAX_FILE_BYTES 1073741824u
#define KQ_MAX_RANK 4u
#define KQ_MAX_REUSE 8u
#define KQ_MAX_NAME_BYTES 1024u
#define KQ_MIN_ALIGNMENT 4u
#define KQ_MAX_ALIGNMENT 256u
#define KQ_MAX_VECTOR_READS 67108864u

/* Which input of an operator is what. */
enum { KQ_CONV_2D_INPUT, KQ_CONV_2D_KERNEL, KQ_CONV_2D_MULTIPLIER, KQ_CONV_2D_BIAS, KQ_CONV_2D_ADDEND };
enum { KQ_DENSE_INPUT, KQ_DENSE_KERNEL, KQ_DENSE_MULTIPLIER, KQ_DENSE_BIAS };
enum { KQ_ADD_FIRST_INPUT, KQ_ADD_SECOND_INPUT };
enum { KQ_MAX_POOL_2D_INPUT };
enum { KQ_AVERAGE_POOL_2D_INPUT };
enum { KQ_RESHAPE_INPUT };
enum { KQ_SOFTMAX_INPUT, KQ_SOFTMAX_TABLE };
enum { KQ_QUANTIZE_INPUT };
enum { KQ_MUL_FIRST_INPUT, KQ_MUL_SECOND_INPUT };
enum {
  KQ_CONCAT_FIRST_INPUT, KQ_CONCAT_SECOND_INPUT, KQ_CONCAT_THIRD_INPUT, KQ_CONCAT_FOURTH_INPUT, KQ_CONCAT_FIFTH_INPUT
};
enum { KQ_TRANSPOSE_INPUT };
enum { KQ_LOOKUP_INPUT, KQ_LOOKUP_TABLE };
enum { KQ_ARGMAX_INPUT };
enum { KQ_GATHER_INPUT, KQ_GATHER_TABLE };
enum { KQ_NORMALIZE_INPUT, KQ_NORMALIZE_EPSILON };

/* Limits of the rules. */
enum { KQ_CONV_2D_MAX_SIDE = 65535 };
enum { KQ_ADD_MAX_DISTANCE = 32 };
enum { KQ_AVERAGE_POOL_2D_MAX_DISTANCE = 24, KQ_AVERAGE_POOL_2D_MAX_TAPS = 16777216 };
enum {
  KQ_SOFTMAX_MAX_CLASSES = 65536, KQ_SOFTMAX_MAX_FRAC_BITS = 16, KQ_SOFTMAX_ONE = 32768, KQ_SOFTMAX_ENTRIES_8 = 256,
  KQ_SOFTMAX_ENTRIES_16 = 512
};
enum { KQ_LOOKUP_ENTRIES_8 = 256, KQ_LOOKUP_ENTRIES_16 = 513 };
enum { KQ_ARGMAX_MAX_CLASSES = 65536 };
enum { KQ_GATHER_MAX_ROWS = 65536 };
enum { KQ_NORMALIZE_MAX_VALUES = 1048576, KQ_NORMALIZE_MAX_FRAC_BITS = 16 };

/* Kinds whose results may differ from engine to engine where they compute in float, a bit each. */
enum { KQ_INEXACT_IN_FLOAT =
  1 << KQ_CONV_2D | 1 << KQ_DENSE | 1 << KQ_AVERAGE_POOL_2D | 1 << KQ_SOFTMAX | 1 << KQ_NORMALIZE
};

enum {
  KQ_OPERAND_CONSTANT = 1, KQ_OPERAND_OPTIONAL = 2, KQ_OPERAND_TRAILING = 4, KQ_OPERAND_PER_CHANNEL = 8,
  KQ_OPERAND_PAIRED = 16
};
enum { KQ_LAYOUT_ROWS, KQ_LAYOUT_PAIRS, KQ_LAYOUTS };
enum { KQ_OVERLAP_NEVER, KQ_OVERLAP_ELEMENT_WISE, KQ_OVERLAP_WINDOW, KQ_OVERLAP_WINDOW_OF_CHANNEL, KQ_OVERLAP_GROUP };
enum {
  KQ_USES_STRIDES = 1, KQ_USES_DILATIONS = 2, KQ_USES_PADDING = 4, KQ_USES_WINDOW = 8, KQ_USES_GROUPS = 16,
  KQ_USES_CENTERED = 32, KQ_USES_ZERO = 64, KQ_USES_TOTAL_BITS = 128
};

/* An operand: the types that it may have, a bit each; what it is, a bit of KQ_OPERAND each; and how it is read while the
 * output is written, one of KQ_OVERLAP. kerasq/ops/operand.py says what these mean. */
typedef struct {
  uint16_t types;
  uint8_t flags;
  uint8_t overlap;
} kq_operand;

/* A kind: its operands, the first `needed` of which every operator lists, and the attributes that it uses, a bit of KQ_USES
 * each. All others have their default. */
typedef struct {
  const kq_operand *operands;
  uint8_t count, needed;
  uint8_t attributes;
} kq_signature;
extern const kq_signature kq_signatures[KQ_KINDS];

#endif
