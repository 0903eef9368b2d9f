#include "kq_weighted.h"

static int frac_bits(const kq_tensor *tensor) { return tensor == NULL ? 0 : tensor->frac_bits; }

int kq_total_frac_bits(const kq_operator *op) {
  return frac_bits(op->input[KQ_X]) + frac_bits(op->input[KQ_KERNEL]) + frac_bits(op->input[KQ_MULTIPLIER]);
}

int64_t kq_total(const kq_operator *op, uint32_t channel, int64_t sum) {
  const kq_tensor *multiplier = op->input[KQ_MULTIPLIER], *bias = op->input[KQ_BIAS];
  if (multiplier != NULL) sum *= kq_stored(multiplier->type, multiplier->data, channel);
  if (bias != NULL) {
    const int32_t b = kq_stored(bias->type, bias->data, channel);
    /* Where b is not 0 the proof keeps b * 2^places inside 64 bits; where it is, places may be anything. */
    if (b != 0) sum += b * ((int64_t)1 << (kq_total_frac_bits(op) - bias->frac_bits));
  }
  return sum;
}

uint32_t kq_row_bytes(const kq_tensor *kernel) {
  const uint32_t row = kernel->elements / kernel->shape[0];
  if (kernel->type == KQ_SIGN) return (row + 31) / 32 * 4;
  return kernel->type == KQ_FIXED4 ? 0 : row * (uint32_t)kq_bits(kernel->type) / 8;
}

int32_t kq_weight(const kq_tensor *kernel, uint32_t channel, uint32_t index) {
  if (kernel->type == KQ_SIGN) {
    const uint8_t *row = kernel->data + (size_t)channel * kq_row_bytes(kernel);
    return (row[index / 8] >> index % 8 & 1) != 0 ? 1 : -1;
  }
  return kq_stored(kernel->type, kernel->data, channel * (kernel->elements / kernel->shape[0]) + index);
}
