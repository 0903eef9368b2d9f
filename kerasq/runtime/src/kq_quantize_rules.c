#include "kq_rules.h"

static uint64_t bound(const kq_operator *op) { return kq_requantized_bound(op, op->input[KQ_QUANTIZE_INPUT]); }

const kq_rules kq_quantize_rules = {.check = kq_check_same_shape, .bound = bound};
