/* Generated from the table of operators in kerasq/ops: python -m kerasq.format.regenerate. */
#ifndef KERASQ_FORMAT_H
#define KERASQ_FORMAT_H

#define KQ_VERSION 6 /* newest version of the file format that is read */

/* Storage of a tensor: the enum Type of kerasq.fbs. */
typedef enum {
  KQ_FLOAT32, KQ_FIXED4, KQ_FIXED8, KQ_FIXED16, KQ_FIXED32, KQ_UFIXED4, KQ_UFIXED8, KQ_UFIXED16, KQ_SIGN, KQ_FIXED2,
  KQ_TYPES
} kq_type;

/* The enum OperatorKind of kerasq.fbs. */
typedef enum {
  KQ_CONV_2D, KQ_DENSE, KQ_ADD, KQ_MAX_POOL_2D, KQ_AVERAGE_POOL_2D, KQ_RESHAPE, KQ_SOFTMAX, KQ_QUANTIZE, KQ_MUL,
  KQ_CONCAT, KQ_TRANSPOSE, KQ_LOOKUP, KQ_ARGMAX, KQ_GATHER, KQ_NORMALIZE, KQ_KINDS
} kq_kind;

/* X(TYPE) and X(KIND, kind) for each of them, in order. */
#define KQ_EACH_TYPE(X) \
  X(FLOAT32) X(FIXED4) X(FIXED8) X(FIXED16) X(FIXED32) X(UFIXED4) X(UFIXED8) X(UFIXED16) X(SIGN) X(FIXED2)
#define KQ_EACH_KIND(X) \
  X(CONV_2D, conv_2d) X(DENSE, dense) X(ADD, add) X(MAX_POOL_2D, max_pool_2d) X(AVERAGE_POOL_2D, average_pool_2d) \
  X(RESHAPE, reshape) X(SOFTMAX, softmax) X(QUANTIZE, quantize) X(MUL, mul) X(CONCAT, concat) X(TRANSPOSE, transpose) \
  X(LOOKUP, lookup) X(ARGMAX, argmax) X(GATHER, gather) X(NORMALIZE, normalize)

#endif
