#include "kq_rules.h"

static bool differs_in_channels_only(const kq_tensor *a, const kq_tensor *b) {
  return a->rank == b->rank && memcmp(a->shape, b->shape, (a->rank - 1u) * sizeof a->shape[0]) == 0;
}

static kq_status check(kq_operator *op) {
  const kq_tensor *first = op->input[KQ_CONCAT_FIRST_INPUT], *y = op->output;
  uint64_t channels = 0;
  for (uint32_t i = 0; i < op->inputs; ++i) {
    const kq_tensor *x = op->input[i];
    if (!differs_in_channels_only(first, x)) return KQ_BAD_OPERAND;
    channels += x->shape[x->rank - 1];
  }
  return differs_in_channels_only(first, y) && y->shape[y->rank - 1] == channels ? KQ_OK : KQ_BAD_OUTPUT;
}

/* The largest max|x| with its rounding half. */
static uint64_t bound(const kq_operator *op) {
  uint64_t largest = 0;
  for (uint32_t i = 0; i < op->inputs; ++i) {
    const uint64_t needed = kq_requantized_bound(op, op->input[i]);
    if (needed > largest) largest = needed;
  }
  return largest;
}

const kq_rules kq_concat_rules = {.check = check, .bound = bound};
