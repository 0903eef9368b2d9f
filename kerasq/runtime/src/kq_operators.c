/* Generated from the table of operators in kerasq/ops: python -m kerasq.format.regenerate. */
#include "kq_operators.h"

enum { ACTIVATIONS = 1 << KQ_FLOAT32 | 1 << KQ_FIXED8 | 1 << KQ_FIXED16 | 1 << KQ_UFIXED8 | 1 << KQ_UFIXED16 };
enum { KERNELS = 1 << KQ_FLOAT32 | 1 << KQ_FIXED4 | 1 << KQ_FIXED8 | 1 << KQ_FIXED16 | 1 << KQ_SIGN | 1 << KQ_FIXED2 };
enum { VECTORS = 1 << KQ_FLOAT32 | 1 << KQ_FIXED4 | 1 << KQ_FIXED8 | 1 << KQ_FIXED16 | 1 << KQ_FIXED32 };
enum { TABLES = 1 << KQ_FIXED8 | 1 << KQ_FIXED16 | 1 << KQ_UFIXED8 | 1 << KQ_UFIXED16 };
enum { GATHERED =
  1 << KQ_FLOAT32 | 1 << KQ_FIXED4 | 1 << KQ_FIXED8 | 1 << KQ_FIXED16 | 1 << KQ_SIGN | 1 << KQ_FIXED2 |
  1 << KQ_UFIXED8 | 1 << KQ_UFIXED16
};
enum { EXPONENTIALS = 1 << KQ_UFIXED16 };
enum { EPSILONS = 1 << KQ_FLOAT32 | 1 << KQ_FIXED16 };

static const kq_operand conv_2d[] = {
    [KQ_CONV_2D_INPUT] = {.types = ACTIVATIONS, .overlap = KQ_OVERLAP_WINDOW},
    [KQ_CONV_2D_KERNEL] = {.types = KERNELS, .flags = KQ_OPERAND_CONSTANT | KQ_OPERAND_PAIRED},
    [KQ_CONV_2D_MULTIPLIER] = {.types = VECTORS, .flags = KQ_OPERAND_CONSTANT | KQ_OPERAND_OPTIONAL | KQ_OPERAND_PER_CHANNEL},
    [KQ_CONV_2D_BIAS] = {.types = VECTORS, .flags = KQ_OPERAND_CONSTANT | KQ_OPERAND_OPTIONAL | KQ_OPERAND_PER_CHANNEL},
    [KQ_CONV_2D_ADDEND] = {.types = ACTIVATIONS, .flags = KQ_OPERAND_TRAILING, .overlap = KQ_OVERLAP_ELEMENT_WISE},
};
static const kq_operand dense[] = {
    [KQ_DENSE_INPUT] = {.types = ACTIVATIONS},
    [KQ_DENSE_KERNEL] = {.types = KERNELS, .flags = KQ_OPERAND_CONSTANT},
    [KQ_DENSE_MULTIPLIER] = {.types = VECTORS, .flags = KQ_OPERAND_CONSTANT | KQ_OPERAND_OPTIONAL | KQ_OPERAND_PER_CHANNEL},
    [KQ_DENSE_BIAS] = {.types = VECTORS, .flags = KQ_OPERAND_CONSTANT | KQ_OPERAND_OPTIONAL | KQ_OPERAND_PER_CHANNEL},
};
static const kq_operand add[] = {
    [KQ_ADD_FIRST_INPUT] = {.types = ACTIVATIONS, .overlap = KQ_OVERLAP_ELEMENT_WISE},
    [KQ_ADD_SECOND_INPUT] = {.types = ACTIVATIONS, .overlap = KQ_OVERLAP_ELEMENT_WISE},
};
static const kq_operand max_pool_2d[] = {
    [KQ_MAX_POOL_2D_INPUT] = {.types = ACTIVATIONS, .overlap = KQ_OVERLAP_WINDOW_OF_CHANNEL},
};
static const kq_operand average_pool_2d[] = {
    [KQ_AVERAGE_POOL_2D_INPUT] = {.types = ACTIVATIONS, .overlap = KQ_OVERLAP_WINDOW_OF_CHANNEL},
};
static const kq_operand reshape[] = {
    [KQ_RESHAPE_INPUT] = {.types = ACTIVATIONS, .overlap = KQ_OVERLAP_ELEMENT_WISE},
};
static const kq_operand softmax[] = {
    [KQ_SOFTMAX_INPUT] = {.types = ACTIVATIONS, .overlap = KQ_OVERLAP_ELEMENT_WISE},
    [KQ_SOFTMAX_TABLE] = {.types = EXPONENTIALS, .flags = KQ_OPERAND_CONSTANT | KQ_OPERAND_OPTIONAL},
};
static const kq_operand quantize[] = {
    [KQ_QUANTIZE_INPUT] = {.types = ACTIVATIONS, .overlap = KQ_OVERLAP_ELEMENT_WISE},
};
static const kq_operand mul[] = {
    [KQ_MUL_FIRST_INPUT] = {.types = ACTIVATIONS, .overlap = KQ_OVERLAP_ELEMENT_WISE},
    [KQ_MUL_SECOND_INPUT] = {.types = ACTIVATIONS, .overlap = KQ_OVERLAP_ELEMENT_WISE},
};
static const kq_operand concat[] = {
    [KQ_CONCAT_FIRST_INPUT] = {.types = ACTIVATIONS},
    [KQ_CONCAT_SECOND_INPUT] = {.types = ACTIVATIONS},
    [KQ_CONCAT_THIRD_INPUT] = {.types = ACTIVATIONS, .flags = KQ_OPERAND_TRAILING},
    [KQ_CONCAT_FOURTH_INPUT] = {.types = ACTIVATIONS, .flags = KQ_OPERAND_TRAILING},
    [KQ_CONCAT_FIFTH_INPUT] = {.types = ACTIVATIONS, .flags = KQ_OPERAND_TRAILING},
};
static const kq_operand transpose[] = {
    [KQ_TRANSPOSE_INPUT] = {.types = ACTIVATIONS},
};
static const kq_operand lookup[] = {
    [KQ_LOOKUP_INPUT] = {.types = ACTIVATIONS, .overlap = KQ_OVERLAP_ELEMENT_WISE},
    [KQ_LOOKUP_TABLE] = {.types = TABLES, .flags = KQ_OPERAND_CONSTANT},
};
static const kq_operand argmax[] = {
    [KQ_ARGMAX_INPUT] = {.types = ACTIVATIONS},
};
static const kq_operand gather[] = {
    [KQ_GATHER_INPUT] = {.types = ACTIVATIONS},
    [KQ_GATHER_TABLE] = {.types = GATHERED, .flags = KQ_OPERAND_CONSTANT},
};
static const kq_operand normalize[] = {
    [KQ_NORMALIZE_INPUT] = {.types = ACTIVATIONS, .overlap = KQ_OVERLAP_GROUP},
    [KQ_NORMALIZE_EPSILON] = {.types = EPSILONS, .flags = KQ_OPERAND_CONSTANT},
};

const kq_signature kq_signatures[KQ_KINDS] = {
    [KQ_CONV_2D] = {
        .operands = conv_2d, .count = 5, .needed = 4,
        .attributes = KQ_USES_STRIDES | KQ_USES_DILATIONS | KQ_USES_PADDING | KQ_USES_GROUPS | KQ_USES_ZERO | KQ_USES_TOTAL_BITS,
    },
    [KQ_DENSE] = {
        .operands = dense, .count = 4, .needed = 4,
        .attributes = KQ_USES_TOTAL_BITS,
    },
    [KQ_ADD] = {
        .operands = add, .count = 2, .needed = 2,
    },
    [KQ_MAX_POOL_2D] = {
        .operands = max_pool_2d, .count = 1, .needed = 1,
        .attributes = KQ_USES_STRIDES | KQ_USES_PADDING | KQ_USES_WINDOW,
    },
    [KQ_AVERAGE_POOL_2D] = {
        .operands = average_pool_2d, .count = 1, .needed = 1,
        .attributes = KQ_USES_STRIDES | KQ_USES_PADDING | KQ_USES_WINDOW,
    },
    [KQ_RESHAPE] = {
        .operands = reshape, .count = 1, .needed = 1,
    },
    [KQ_SOFTMAX] = {
        .operands = softmax, .count = 2, .needed = 2,
    },
    [KQ_QUANTIZE] = {
        .operands = quantize, .count = 1, .needed = 1,
    },
    [KQ_MUL] = {
        .operands = mul, .count = 2, .needed = 2,
        .attributes = KQ_USES_ZERO,
    },
    [KQ_CONCAT] = {
        .operands = concat, .count = 5, .needed = 2,
    },
    [KQ_TRANSPOSE] = {
        .operands = transpose, .count = 1, .needed = 1,
        .attributes = KQ_USES_WINDOW | KQ_USES_GROUPS,
    },
    [KQ_LOOKUP] = {
        .operands = lookup, .count = 2, .needed = 2,
    },
    [KQ_ARGMAX] = {
        .operands = argmax, .count = 1, .needed = 1,
    },
    [KQ_GATHER] = {
        .operands = gather, .count = 2, .needed = 2,
    },
    [KQ_NORMALIZE] = {
        .operands = normalize, .count = 2, .needed = 2,
        .attributes = KQ_USES_WINDOW | KQ_USES_GROUPS | KQ_USES_CENTERED,
    },
};
