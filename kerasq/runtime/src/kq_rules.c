/* The rules of each kind of operator (kerasq/ops): operands, attributes, the shape of the output. Formats of activations, and a
 * batch axis of 1, are certain since the tensors were loaded. */
#include "kq_verify.h"

#define MAX_SIDE 65535u /* of a window: with it an extent fits 32 bits */
#define MAX_ADD_DISTANCE 32 /* of fractional bits */
#define MAX_AVERAGE_DISTANCE 24
#define MAX_AVERAGE_TAPS (1u << 24)
#define MAX_CLASSES (1u << 16)
#define MAX_SOFTMAX_FRAC_BITS 16
#define SOFTMAX_ONE (1u << 15) /* exp(0) in the table */

/* Inputs of each kind: which types a constant may have (a bit each), or that it is an activation; 0 where there is no such
 * input. */
#define BIT(type) (1u << (type))
#define ACTIVATION (1u << 14)
#define OPTIONAL (1u << 15)
#define TRAILING (1u << 13) /* the inputs may end before it */
#define KERNEL (BIT(KQ_FLOAT32) | BIT(KQ_FIXED4) | BIT(KQ_FIXED8) | BIT(KQ_FIXED16) | BIT(KQ_SIGN))
#define VECTOR (BIT(KQ_FLOAT32) | BIT(KQ_FIXED4) | BIT(KQ_FIXED8) | BIT(KQ_FIXED16) | BIT(KQ_FIXED32) | OPTIONAL)

#define TABLE (BIT(KQ_FIXED8) | BIT(KQ_FIXED16) | BIT(KQ_UFIXED8) | BIT(KQ_UFIXED16))

static const uint16_t slots[KQ_KINDS][KQ_MAX_INPUTS] = {
    {ACTIVATION, KERNEL, VECTOR, VECTOR, ACTIVATION | TRAILING}, /* CONV_2D: x, kernel, multiplier, bias, addend */
    {ACTIVATION, KERNEL, VECTOR, VECTOR},             /* DENSE */
    {ACTIVATION, ACTIVATION},                         /* ADD */
    {ACTIVATION},                                     /* MAX_POOL_2D */
    {ACTIVATION},                                     /* AVERAGE_POOL_2D */
    {ACTIVATION},                                     /* RESHAPE */
    {ACTIVATION, BIT(KQ_UFIXED16) | OPTIONAL},        /* SOFTMAX: x, table */
    {ACTIVATION},                                     /* QUANTIZE */
    {ACTIVATION, ACTIVATION},                         /* MUL */
    {ACTIVATION, ACTIVATION, ACTIVATION | TRAILING, ACTIVATION | TRAILING, ACTIVATION | TRAILING}, /* CONCAT */
    {ACTIVATION},                                     /* TRANSPOSE */
    {ACTIVATION, TABLE},                              /* LOOKUP: x, table */
};

static bool fits_slots(const kq_operator *op) {
  for (uint32_t i = 0; i < KQ_MAX_INPUTS; ++i) {
    const uint32_t slot = slots[op->kind][i];
    const kq_tensor *tensor = op->input[i];
    if (i >= op->inputs) {
      if (slot != 0 && (slot & TRAILING) == 0) return false;
    } else if (slot == 0 || (tensor == NULL && (slot & OPTIONAL) == 0)) {
      return false;
    } else if (tensor != NULL && (slot & (tensor->data == NULL ? ACTIVATION : BIT(tensor->type))) == 0) {
      return false;
    }
  }
  return true;
}

/* NUMERICS.md section 3: in integers where every input is FIXED, UFIXED or SIGN; SOFTMAX where it has a table. */
static bool is_integer(const kq_operator *op) {
  for (uint32_t i = 0; i < op->inputs; ++i) {
    if (op->input[i] != NULL && op->input[i]->type == KQ_FLOAT32) return false;
  }
  return op->kind != KQ_SOFTMAX || op->input[1] != NULL;
}

static int distance(int a, int b) { return a < b ? b - a : a - b; }

static bool has_shape_of(const kq_tensor *a, const kq_tensor *b) {
  return a->rank == b->rank && memcmp(a->shape, b->shape, sizeof a->shape) == 0;
}

static bool has_format_of(const kq_tensor *a, const kq_tensor *b) { return a->type == b->type && a->frac_bits == b->frac_bits; }

static bool is_vector_of(const kq_tensor *tensor, uint32_t channels) {
  return tensor == NULL || (tensor->rank == 1 && tensor->shape[0] == channels);
}

static int frac_bits(const kq_tensor *tensor) { return tensor == NULL ? 0 : tensor->frac_bits; }

/* Multiplier, bias and addend of a convolution or dense layer. */
static kq_status check_vectors(const kq_operator *op) {
  const kq_tensor *kernel = op->input[1], *multiplier = op->input[2], *bias = op->input[3], *addend = op->input[4];
  if (!is_vector_of(multiplier, kernel->shape[0]) || !is_vector_of(bias, kernel->shape[0])) return KQ_BAD_OPERAND;
  const int total_frac_bits = op->input[0]->frac_bits + kernel->frac_bits + frac_bits(multiplier);
  if (addend != NULL && !has_shape_of(addend, op->output)) return KQ_BAD_OPERAND;
  if (!op->is_integer) return KQ_OK;
  const bool fine = (bias == NULL || bias->frac_bits <= total_frac_bits) && (addend == NULL || addend->frac_bits <= total_frac_bits);
  return fine ? KQ_OK : KQ_BAD_OPERAND;
}

/* The window along one axis (0: rows, 1: columns), and the output's size along it. */
static kq_status check_axis(const kq_operator *op, uint32_t axis) {
  const uint32_t size = op->window[axis], stride = op->strides[axis], dilation = op->dilations[axis];
  const uint32_t before = op->padding[2 * axis], after = op->padding[2 * axis + 1];
  if (size == 0 || stride == 0 || dilation == 0) return KQ_BAD_ATTRIBUTE;
  const uint32_t extent = (size - 1) * dilation + 1;
  if (before >= extent || after >= extent) return KQ_BAD_ATTRIBUTE; /* every window has a valid tap */
  const uint32_t span = op->input[0]->shape[1 + axis] + before + after;
  return span >= extent && (span - extent) / stride + 1 == op->output->shape[1 + axis] ? KQ_OK : KQ_BAD_OUTPUT;
}

static kq_status check_window(const kq_operator *op, uint32_t channels) {
  if (op->input[0]->rank != 4) return KQ_BAD_OPERAND;
  for (uint32_t axis = 0; axis < 2; ++axis) {
    const kq_status status = check_axis(op, axis);
    if (status != KQ_OK) return status;
  }
  return op->output->rank == 4 && op->output->shape[3] == channels ? KQ_OK : KQ_BAD_OUTPUT;
}

static kq_status check_conv(kq_operator *op) {
  const kq_tensor *x = op->input[0], *kernel = op->input[1];
  const uint32_t groups = op->groups;
  if (x->rank != 4 || kernel->rank != 4) return KQ_BAD_OPERAND;
  if (groups == 0 || x->shape[3] % groups != 0 || kernel->shape[0] % groups != 0) return KQ_BAD_ATTRIBUTE;
  if (kernel->shape[3] != x->shape[3] / groups) return KQ_BAD_OPERAND;
  if (kernel->shape[1] > MAX_SIDE || kernel->shape[2] > MAX_SIDE) return KQ_BAD_ATTRIBUTE;
  op->window[0] = (uint16_t)kernel->shape[1];
  op->window[1] = (uint16_t)kernel->shape[2];
  const kq_status status = check_vectors(op);
  return status == KQ_OK ? check_window(op, kernel->shape[0]) : status;
}

static kq_status check_dense(const kq_operator *op) {
  const kq_tensor *kernel = op->input[1];
  if (kernel->rank != 2 || kernel->shape[1] != op->input[0]->elements) return KQ_BAD_OPERAND;
  const kq_status status = check_vectors(op);
  if (status != KQ_OK) return status;
  return op->output->rank == 2 && op->output->shape[1] == kernel->shape[0] ? KQ_OK : KQ_BAD_OUTPUT;
}

static kq_status check_add(const kq_operator *op) {
  const kq_tensor *a = op->input[0], *b = op->input[1];
  if (!has_shape_of(a, b)) return KQ_BAD_OPERAND;
  if (op->is_integer && distance(a->frac_bits, b->frac_bits) > MAX_ADD_DISTANCE) return KQ_BAD_OPERAND;
  return has_shape_of(a, op->output) ? KQ_OK : KQ_BAD_OUTPUT;
}

static kq_status check_pool(const kq_operator *op) {
  const kq_tensor *x = op->input[0], *y = op->output;
  if (op->kind == KQ_MAX_POOL_2D) {
    if (!has_format_of(x, y)) return KQ_BAD_OPERAND;
  } else {
    const bool fixed = x->type != KQ_FLOAT32 && y->type != KQ_FLOAT32;
    if ((uint32_t)op->window[0] * op->window[1] > MAX_AVERAGE_TAPS) return KQ_BAD_ATTRIBUTE;
    if (fixed && distance(x->frac_bits, y->frac_bits) > MAX_AVERAGE_DISTANCE) return KQ_BAD_OPERAND;
  }
  return check_window(op, x->shape[3]);
}

static kq_status check_reshape(const kq_operator *op) {
  if (!has_format_of(op->input[0], op->output)) return KQ_BAD_OPERAND;
  return op->input[0]->elements == op->output->elements ? KQ_OK : KQ_BAD_OUTPUT;
}

/* Entries exceed 1 nowhere, so that sums of them fit 32 bits, and each run of 256 begins with it: sums, divisors, are not 0. */
static bool is_softmax_table(const kq_tensor *table, uint32_t entries) {
  if (table->frac_bits != 15 || table->rank != 1 || table->shape[0] != entries) return false;
  for (uint32_t i = 0; i < entries; ++i) {
    const uint32_t entry = kq_u16(table->data + 2 * i);
    if (entry > SOFTMAX_ONE || (i % 256 == 0 && entry != SOFTMAX_ONE)) return false;
  }
  return true;
}

static kq_status check_softmax(const kq_operator *op) {
  const kq_tensor *x = op->input[0], *table = op->input[1], *y = op->output;
  if (!has_shape_of(x, y)) return KQ_BAD_OUTPUT;
  if (table == NULL) return KQ_OK;
  if (x->type == KQ_FLOAT32 || y->type == KQ_FLOAT32 || x->shape[x->rank - 1] > MAX_CLASSES) return KQ_BAD_OPERAND;
  if (y->frac_bits < 0 || y->frac_bits > MAX_SOFTMAX_FRAC_BITS) return KQ_BAD_OPERAND;
  return is_softmax_table(table, kq_bits(x->type) == 8 ? 256 : 512) ? KQ_OK : KQ_BAD_OPERAND;
}

/* The second input: of the first one's shape, or one value for each of its channels. */
static kq_status check_mul(const kq_operator *op) {
  const kq_tensor *a = op->input[0], *b = op->input[1];
  const uint32_t channels = b->shape[b->rank - 1];
  const bool by_channel = b->elements == channels && channels == a->shape[a->rank - 1];
  if (!by_channel && !has_shape_of(a, b)) return KQ_BAD_OPERAND;
  return has_shape_of(a, op->output) ? KQ_OK : KQ_BAD_OUTPUT;
}

static bool differs_in_channels_only(const kq_tensor *a, const kq_tensor *b) {
  return a->rank == b->rank && memcmp(a->shape, b->shape, (a->rank - 1u) * sizeof a->shape[0]) == 0;
}

static kq_status check_concat(const kq_operator *op) {
  const kq_tensor *y = op->output;
  uint64_t channels = 0;
  for (uint32_t i = 0; i < op->inputs; ++i) {
    const kq_tensor *x = op->input[i];
    if (!differs_in_channels_only(op->input[0], x)) return KQ_BAD_OPERAND;
    channels += x->shape[x->rank - 1];
  }
  return differs_in_channels_only(op->input[0], y) && y->shape[y->rank - 1] == channels ? KQ_OK : KQ_BAD_OUTPUT;
}

static kq_status check_transpose(const kq_operator *op) {
  const uint32_t elements = op->input[0]->elements, sides = (uint32_t)op->window[0] * op->window[1];
  if (!has_format_of(op->input[0], op->output)) return KQ_BAD_OPERAND;
  if (sides == 0 || op->groups == 0 || elements % sides != 0 || elements / sides % op->groups != 0) return KQ_BAD_ATTRIBUTE;
  return elements == op->output->elements ? KQ_OK : KQ_BAD_OUTPUT;
}

static kq_status check_lookup(const kq_operator *op) {
  const kq_tensor *x = op->input[0], *table = op->input[1];
  if (x->type == KQ_FLOAT32 || !has_format_of(table, op->output)) return KQ_BAD_OPERAND;
  if (table->rank != 1 || table->shape[0] != (kq_bits(x->type) == 8 ? 256u : 513u)) return KQ_BAD_OPERAND;
  return has_shape_of(x, op->output) ? KQ_OK : KQ_BAD_OUTPUT;
}

static kq_status check_kind(kq_operator *op) {
  switch (op->kind) {
    case KQ_CONV_2D: return check_conv(op);
    case KQ_DENSE: return check_dense(op);
    case KQ_ADD: return check_add(op);
    case KQ_MAX_POOL_2D:
    case KQ_AVERAGE_POOL_2D: return check_pool(op);
    case KQ_RESHAPE: return check_reshape(op);
    case KQ_SOFTMAX: return check_softmax(op);
    case KQ_MUL: return check_mul(op);
    case KQ_CONCAT: return check_concat(op);
    case KQ_TRANSPOSE: return check_transpose(op);
    case KQ_LOOKUP: return check_lookup(op);
    default: return has_shape_of(op->input[0], op->output) ? KQ_OK : KQ_BAD_OUTPUT; /* QUANTIZE */
  }
}

/* Bits of a float as an integer of the same order (-0 equal to 0): sign and magnitude. */
static int32_t float_order(int32_t bits) { return bits < 0 ? -(bits & INT32_MAX) : bits; }

static bool is_nan(int32_t bits) { return (bits & INT32_MAX) > 0x7F800000; }

/* Checks the clamp, or makes one of the range that the output's type has: limits that change nothing. */
static bool set_limits(kq_operator *op) {
  const uint8_t type = op->output->type;
  const int32_t low = op->low.fixed, high = op->high.fixed;
  if (!op->has_clamp) {
    op->low.fixed = type == KQ_FLOAT32 ? INT32_MIN + 0x7F800000 : kq_min_int(type); /* the bits of -infinity */
    op->high.fixed = type == KQ_FLOAT32 ? 0x7F800000 : kq_max_int(type);
    return true;
  }
  if (type == KQ_FLOAT32) return !is_nan(low) && !is_nan(high) && float_order(low) <= float_order(high);
  return kq_min_int(type) <= low && low <= high && high <= kq_max_int(type);
}

kq_status kq_check_operator(kq_operator *op) {
  if (!fits_slots(op)) return KQ_BAD_OPERAND;
  op->is_integer = is_integer(op);
  const kq_status status = check_kind(op);
  if (status != KQ_OK) return status;
  return set_limits(op) ? KQ_OK : KQ_BAD_ATTRIBUTE;
}
