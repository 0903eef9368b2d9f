#include "kq_rules.h"

static kq_status check(kq_operator *op) {
  const kq_tensor *x = op->input[KQ_AVERAGE_POOL_2D_INPUT], *y = op->output;
  const bool fixed = x->type != KQ_FLOAT32 && y->type != KQ_FLOAT32;
  if ((uint32_t)op->window[0] * op->window[1] > KQ_AVERAGE_POOL_2D_MAX_TAPS) return KQ_BAD_ATTRIBUTE;
  if (fixed && kq_distance(x->frac_bits, y->frac_bits) > KQ_AVERAGE_POOL_2D_MAX_DISTANCE) return KQ_BAD_OPERAND;
  return kq_check_window(op, x->shape[3]);
}

/* 2 N (max|x| 2^-k + 2^k), either power only where it is above 1: covers numerator and denominator. |k| is at most 24. */
static uint64_t bound(const kq_operator *op) {
  const kq_tensor *x = op->input[KQ_AVERAGE_POOL_2D_INPUT];
  const int k = x->frac_bits - op->output->frac_bits;
  const uint64_t largest = kq_max_magnitude(x->type);
  uint32_t taps = 1;
  for (uint32_t axis = 0; axis < 2; ++axis) {
    const uint32_t size = x->shape[1 + axis], window = op->window[axis];
    taps *= size < window ? size : window;
  }
  if (op->output->type == KQ_FLOAT32) return kq_bound_product(largest, taps);
  return kq_bound_product(kq_bound_shifted(largest, k < 0 ? -k : 0) + kq_bound_shifted(1, k > 0 ? k : 0), 2 * taps);
}

const kq_rules kq_average_pool_2d_rules = {.check = check, .bound = bound};
