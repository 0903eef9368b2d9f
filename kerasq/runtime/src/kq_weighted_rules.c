/* What the rules of CONV_2D and DENSE share. */
#include "kq_rules.h"

static bool is_vector_of(const kq_tensor *tensor, uint32_t channels) {
  return tensor == NULL || (tensor->rank == 1 && tensor->shape[0] == channels);
}

kq_status kq_check_vectors(const kq_operator *op) {
  const kq_tensor *bias = op->input[KQ_BIAS], *addend = op->input[KQ_ADDEND];
  const uint32_t channels = op->input[KQ_KERNEL]->shape[0];
  const int frac_bits = kq_total_frac_bits(op);
  if (!is_vector_of(op->input[KQ_MULTIPLIER], channels) || !is_vector_of(bias, channels)) return KQ_BAD_OPERAND;
  if (addend != NULL && !kq_has_shape_of(addend, op->output)) return KQ_BAD_OPERAND;
  if (!op->is_integer) return KQ_OK;
  const bool fine = (bias == NULL || bias->frac_bits <= frac_bits) && (addend == NULL || addend->frac_bits <= frac_bits);
  return fine ? KQ_OK : KQ_BAD_OPERAND;
}

/* A = (sum of |w|) * max|x|. */
uint64_t kq_accumulator_bound(const kq_operator *op, uint64_t weights) {
  return kq_bound_product(weights, kq_max_magnitude(op->input[KQ_X]->type));
}

static uint32_t vector_value(const kq_tensor *tensor, uint32_t channel) {
  return kq_magnitude(kq_stored(tensor->type, tensor->data, channel));
}

/* T = A * |m| + |b| * 2^(n_t - n_b) + max|r| * 2^(n_t - n_r) + 2^(s-1) of an output channel. */
uint64_t kq_total_bound(const kq_operator *op, uint32_t channel, uint64_t weights) {
  const kq_tensor *multiplier = op->input[KQ_MULTIPLIER], *bias = op->input[KQ_BIAS], *addend = op->input[KQ_ADDEND];
  const int frac_bits = kq_total_frac_bits(op);
  uint64_t total = kq_accumulator_bound(op, weights);
  if (multiplier != NULL) total = kq_bound_product(total, vector_value(multiplier, channel));
  if (bias != NULL) total = kq_bound_sum(total, kq_bound_shifted(vector_value(bias, channel), frac_bits - bias->frac_bits));
  if (addend != NULL) {
    total = kq_bound_sum(total, kq_bound_shifted(kq_max_magnitude(addend->type), frac_bits - addend->frac_bits));
  }
  return kq_bound_sum(total, kq_rounding_half(frac_bits, op->output));
}

uint64_t kq_weighted_macs(const kq_operator *op) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  return (uint64_t)op->output->elements * (kernel->elements / kernel->shape[0]);
}
