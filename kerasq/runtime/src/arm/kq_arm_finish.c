#include "kq_arm_finish.h"

enum { LEAST_SHIFT = 2, LARGEST_SHIFT = 32, LARGEST_START = 61, LARGEST_ADDEND = 60 };

static int shift_of(const kq_operator *op) { return kq_total_frac_bits(op) - op->output->frac_bits; }

/* Whether each |value| 2^places is below 2^limit. */
static bool all_below(const kq_tensor *vector, int places, int limit) {
  if (places < 0) return false;
  for (uint32_t i = 0; i < vector->elements; ++i) {
    const int64_t value = kq_stored(vector->type, vector->data, i);
    const uint64_t magnitude = (uint64_t)(value < 0 ? -value : value);
    if (magnitude != 0 && (limit <= places || magnitude >> (limit - places) != 0)) return false;
  }
  return true;
}

bool kq_arm_can_finish(const kq_operator *op) {
  const kq_tensor *multiplier = op->input[KQ_MULTIPLIER], *bias = op->input[KQ_BIAS], *addend = op->input[KQ_ADDEND];
  const int shift = shift_of(op), left = 32 - shift;
  if (kq_bits(op->output->type) != 8 || op->accumulator_bits != 32 || shift < LEAST_SHIFT || shift > LARGEST_SHIFT) return false;
  if (multiplier != NULL && !all_below(multiplier, left, 31)) return false;
  if (bias != NULL && !all_below(bias, kq_total_frac_bits(op) - bias->frac_bits + left, LARGEST_START)) return false;
  if (addend == NULL) return true;
  const int places = 32 + op->output->frac_bits - addend->frac_bits;
  return places >= 0 && places + kq_bits(addend->type) <= LARGEST_ADDEND;
}

void kq_arm_make_channels(const kq_operator *op, kq_arm_channel *channels) {
  const kq_tensor *multiplier = op->input[KQ_MULTIPLIER], *bias = op->input[KQ_BIAS];
  const int left = 32 - shift_of(op);
  const int places = bias == NULL ? 0 : kq_total_frac_bits(op) - bias->frac_bits + left;
  for (uint32_t channel = 0; channel < op->input[KQ_KERNEL]->shape[0]; ++channel) {
    const int32_t m = multiplier == NULL ? 1 : kq_stored(multiplier->type, multiplier->data, channel);
    const int32_t b = bias == NULL ? 0 : kq_stored(bias->type, bias->data, channel);
    uint64_t start = (uint64_t)1 << 31;
    if (b != 0) start += (uint64_t)(int64_t)b << places;
    channels[channel].factor = (int32_t)((uint32_t)m << left);
    channels[channel].start_low = (uint32_t)start;
    channels[channel].start_high = (int32_t)(uint32_t)(start >> 32);
  }
}

int64_t kq_arm_addend_factor(const kq_operator *op) {
  const kq_tensor *addend = op->input[KQ_ADDEND];
  return addend == NULL ? 0 : (int64_t)1 << (32 + op->output->frac_bits - addend->frac_bits);
}
