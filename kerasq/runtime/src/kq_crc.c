/* CRC-32 a nibble at a time: a table of 64 bytes, where that of whole bytes would take 1 KiB of a microcontroller's flash. */
#include "kerasq.h"

uint32_t kq_crc32(uint32_t crc, const void *bytes, size_t count) {
  /* Entry n is n · x^32 modulo the generator 0x04c11db7, bits reflected. */
  static const uint32_t table[16] = {
      0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u, 0x4db26158u, 0x5005713cu,
      0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu, 0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
  };
  const uint8_t *const first = (const uint8_t *)bytes;
  crc = ~crc;
  for (size_t i = 0; i < count; ++i) {
    crc ^= first[i];
    crc = crc >> 4 ^ table[crc & 15u];
    crc = crc >> 4 ^ table[crc & 15u];
  }
  return ~crc;
}
