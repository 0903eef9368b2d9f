#include "kq_internal.h"

bool kq_has_fixed_output(const kq_operator *op) { return op->output->type != KQ_FLOAT32; }

bool kq_is_fixed_throughout(const kq_operator *op) { return op->is_integer && kq_has_fixed_output(op); }

bool kq_is_integer_to_float(const kq_operator *op) { return op->is_integer && !kq_has_fixed_output(op); }

bool kq_has_float(const kq_operator *op) { return !kq_is_fixed_throughout(op); }
