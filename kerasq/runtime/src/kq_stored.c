#include "kq_arithmetic.h"

static int32_t read_s8(const uint8_t *data, uint32_t i) { return kq_load_s8(data + i); }
static int32_t read_u8(const uint8_t *data, uint32_t i) { return data[i]; }
static int32_t read_s16(const uint8_t *data, uint32_t i) { return kq_load_s16(data + (size_t)i * 2); }
static int32_t read_u16(const uint8_t *data, uint32_t i) { return kq_load_u16(data + (size_t)i * 2); }
static int32_t read_s32(const uint8_t *data, uint32_t i) { return kq_i32(data + (size_t)i * 4); }
static int32_t read_u4(const uint8_t *data, uint32_t i) { return (int32_t)(data[i / 2] >> i % 2 * 4 & 15); }
static int32_t read_sign(const uint8_t *data, uint32_t i) { return (data[i / 8] >> i % 8 & 1) != 0 ? 1 : -1; }

kq_reader kq_reader_of(uint8_t type) {
  static const kq_reader readers[KQ_TYPES] = {
      [KQ_FLOAT32] = NULL,        [KQ_FIXED4] = kq_load_s4,  [KQ_FIXED8] = read_s8,
      [KQ_FIXED16] = read_s16,    [KQ_FIXED32] = read_s32,   [KQ_UFIXED4] = read_u4,
      [KQ_UFIXED8] = read_u8,     [KQ_UFIXED16] = read_u16,  [KQ_SIGN] = read_sign,
      [KQ_FIXED2] = kq_load_s2,
  };
  return readers[type];
}

static void write_8(uint8_t *data, uint32_t i, int32_t value) { data[i] = (uint8_t)value; }
static void write_16(uint8_t *data, uint32_t i, int32_t value) { kq_store_16_bits(data + (size_t)i * 2, value); }

kq_writer kq_writer_of(uint8_t type) { return type == KQ_FIXED8 || type == KQ_UFIXED8 ? write_8 : write_16; }

int32_t kq_stored(uint8_t type, const uint8_t *data, uint32_t i) { return kq_reader_of(type)(data, i); }

void kq_clamp_all(const kq_operator *op, uint8_t *output) {
  const kq_reader read = kq_reader_of(op->output->type);
  const kq_writer write = kq_writer_of(op->output->type);
  if (!op->has_clamp) return;
  for (uint32_t i = 0; i < op->output->elements; ++i) {
    write(output, i, (int32_t)kq_clamp(read(output, i), op->low.fixed, op->high.fixed));
  }
}
