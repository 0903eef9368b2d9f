#include "kq_arithmetic.h"

int32_t kq_stored(uint8_t type, const uint8_t *data, uint32_t i) {
  switch (type) {
    case KQ_FIXED8: return kq_load_s8(data + i);
    case KQ_UFIXED8: return data[i];
    case KQ_FIXED16: return kq_load_s16(data + (size_t)i * 2);
    case KQ_UFIXED16: return kq_load_u16(data + (size_t)i * 2);
    case KQ_FIXED4: return kq_load_s4(data, i);
    case KQ_UFIXED4: return (int32_t)(data[i / 2] >> i % 2 * 4 & 15);
    default: return kq_i32(data + (size_t)i * 4); /* FIXED32 */
  }
}
