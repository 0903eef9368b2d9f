#include "kq_rules.h"

/* Entries exceed 1 nowhere, so that sums of them fit 32 bits, and each run of 256 begins with it: sums, divisors, are not 0. */
static bool is_table(const kq_tensor *table, uint32_t entries) {
  if (table->frac_bits != 15 || table->rank != 1 || table->shape[0] != entries) return false;
  for (uint32_t i = 0; i < entries; ++i) {
    const uint32_t entry = kq_u16(table->data + 2 * i);
    if (entry > KQ_SOFTMAX_ONE || (i % 256 == 0 && entry != KQ_SOFTMAX_ONE)) return false;
  }
  return true;
}

static kq_status check(kq_operator *op) {
  const kq_tensor *x = op->input[KQ_SOFTMAX_INPUT], *table = op->input[KQ_SOFTMAX_TABLE], *y = op->output;
  if (!kq_has_shape_of(x, y)) return KQ_BAD_OUTPUT;
  if (table == NULL) return KQ_OK;
  if (x->type == KQ_FLOAT32 || y->type == KQ_FLOAT32) return KQ_BAD_OPERAND;
  if (x->shape[x->rank - 1] > KQ_SOFTMAX_MAX_CLASSES) return KQ_BAD_OPERAND;
  if (y->frac_bits < 0 || y->frac_bits > KQ_SOFTMAX_MAX_FRAC_BITS) return KQ_BAD_OPERAND;
  return is_table(table, kq_bits(x->type) == 8 ? KQ_SOFTMAX_ENTRIES_8 : KQ_SOFTMAX_ENTRIES_16) ? KQ_OK : KQ_BAD_OPERAND;
}

/* Without a table it computes in float. */
static bool is_integer(const kq_operator *op) { return op->input[KQ_SOFTMAX_TABLE] != NULL; }

/* e 2^(n_y+1) + 2 S with e at most 2^15: covers numerator and denominator. */
static uint64_t bound(const kq_operator *op) {
  const kq_tensor *x = op->input[KQ_SOFTMAX_INPUT];
  return kq_bound_shifted(1, 16 + op->output->frac_bits) + kq_bound_shifted(x->shape[x->rank - 1], 16);
}

const kq_rules kq_softmax_rules = {.check = check, .is_integer = is_integer, .bound = bound};
