#include "kq_internal.h"

int kq_bits(uint8_t type) {
  static const uint8_t bits[KQ_TYPES] = {
      [KQ_FLOAT32] = 32, [KQ_FIXED4] = 4,  [KQ_FIXED8] = 8,   [KQ_FIXED16] = 16, [KQ_FIXED32] = 32,
      [KQ_UFIXED4] = 4,  [KQ_UFIXED8] = 8, [KQ_UFIXED16] = 16, [KQ_SIGN] = 1, [KQ_FIXED2] = 2,
  };
  return bits[type];
}

static int is_signed(uint8_t type) {
  return (1 << KQ_FIXED2 | 1 << KQ_FIXED4 | 1 << KQ_FIXED8 | 1 << KQ_FIXED16 | 1 << KQ_FIXED32) >> type & 1;
}

int32_t kq_min_int(uint8_t type) {
  if (type == KQ_SIGN) return -1;
  if (!is_signed(type)) return 0;
  return -(int32_t)((1u << (kq_bits(type) - 1)) - 1) - 1;
}

int32_t kq_max_int(uint8_t type) {
  if (type == KQ_SIGN) return 1;
  if (type == KQ_FLOAT32) return 0;
  return (int32_t)((1u << (kq_bits(type) - is_signed(type))) - 1);
}

uint32_t kq_max_magnitude(uint8_t type) {
  const uint32_t low = 0u - (uint32_t)kq_min_int(type), high = (uint32_t)kq_max_int(type);
  return low > high ? low : high;
}

bool kq_has_shape_of(const kq_tensor *a, const kq_tensor *b) {
  return a->rank == b->rank && memcmp(a->shape, b->shape, sizeof a->shape) == 0;
}

bool kq_has_format_of(const kq_tensor *a, const kq_tensor *b) { return a->type == b->type && a->frac_bits == b->frac_bits; }
