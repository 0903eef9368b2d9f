/* The rules of an operator: those that its signature (kq_operators.h) and its row say, and those that all kinds share. */
#include "kq_rules.h"

#include "kq_kinds.h"

#define ROW(KIND, kind) [KQ_##KIND] = &kq_##kind##_rules,
static const kq_rules *const rows[KQ_KINDS] = {KQ_LINKED_KINDS(ROW)};

const kq_rules *kq_rules_of(uint8_t kind) { return rows[kind]; }

/* Whether the operator lists inputs that its kind has, each of a right type. */
static bool fits_signature(const kq_operator *op) {
  const kq_signature *signature = &kq_signatures[op->kind];
  if (op->inputs < signature->needed || op->inputs > signature->count) return false;
  for (uint32_t i = 0; i < op->inputs; ++i) {
    const kq_operand *operand = &signature->operands[i];
    const kq_tensor *tensor = op->input[i];
    const bool is_constant = (operand->flags & KQ_OPERAND_CONSTANT) != 0;
    if (tensor == NULL) {
      if ((operand->flags & KQ_OPERAND_OPTIONAL) == 0) return false;
    } else if (is_constant != (tensor->data != NULL) || (operand->types >> tensor->type & 1) == 0 ||
               (tensor->layout != KQ_LAYOUT_ROWS && (operand->flags & KQ_OPERAND_PAIRED) == 0)) {
      return false;
    }
  }
  return true;
}

/* NUMERICS.md section 3: in integers where every input is FIXED, UFIXED or SIGN, unless its kind has a condition. */
static bool is_integer(const kq_operator *op) {
  for (uint32_t i = 0; i < op->inputs; ++i) {
    if (op->input[i] != NULL && op->input[i]->type == KQ_FLOAT32) return false;
  }
  return rows[op->kind]->is_integer == NULL || rows[op->kind]->is_integer(op);
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
  if (rows[op->kind] == NULL) return KQ_NO_KERNEL; /* there is none of this kind, or its rules would be here */
  if (!fits_signature(op)) return KQ_BAD_OPERAND;
  op->is_integer = is_integer(op);
  const kq_status status = rows[op->kind]->check(op);
  if (status != KQ_OK) return status;
  return set_limits(op) ? KQ_OK : KQ_BAD_ATTRIBUTE;
}

bool kq_check_zero(const kq_operator *op) {
  const uint8_t type = op->input[0]->type;
  return op->zero == 0 || (op->is_integer && kq_min_int(type) == 0 && op->zero <= kq_max_int(type));
}

kq_status kq_check_same_shape(kq_operator *op) { return kq_has_shape_of(op->output, op->input[0]) ? KQ_OK : KQ_BAD_OUTPUT; }

uint64_t kq_rounding_half(int frac_bits, const kq_tensor *y) {
  const int shift = frac_bits - y->frac_bits;
  return y->type == KQ_FLOAT32 || shift <= 0 ? 0 : kq_bound_shifted(1, shift - 1);
}

uint64_t kq_moved_bound(const kq_operator *op) { return kq_max_magnitude(op->input[0]->type); }

uint64_t kq_requantized_bound(const kq_operator *op, const kq_tensor *x) {
  return kq_bound_sum(kq_max_magnitude(x->type), kq_rounding_half(x->frac_bits, op->output));
}
