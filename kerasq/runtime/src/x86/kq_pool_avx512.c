/* MAX_POOL_2D of fixed values for AVX-512: 64 bytes of neighbouring channels at a time, and what is left of them under a mask. */
#include "../kq_pool.h"
#include "kq_avx512.h"
#include "kq_pixels.h"

KQ_INLINE __m512i larger(uint8_t type, __m512i a, __m512i b) {
  switch (type) {
    case KQ_FIXED8: return _mm512_max_epi8(a, b);
    case KQ_UFIXED8: return _mm512_max_epu8(a, b);
    case KQ_FIXED16: return _mm512_max_epi16(a, b);
    default: return _mm512_max_epu16(a, b);
  }
}

KQ_INLINE __m512i smaller(uint8_t type, __m512i a, __m512i b) {
  switch (type) {
    case KQ_FIXED8: return _mm512_min_epi8(a, b);
    case KQ_UFIXED8: return _mm512_min_epu8(a, b);
    case KQ_FIXED16: return _mm512_min_epi16(a, b);
    default: return _mm512_min_epu16(a, b);
  }
}

KQ_INLINE __m512i all_lanes(uint8_t type, int32_t value) {
  const __m256i half = kq_all_lanes(type, value);
  return kq_both_halves(half, half);
}

/* The first `count` bytes of channels from byte `offset` of a pixel on, limited. */
KQ_INLINE __m512i largest_under(const kq_operator *op, const kq_pixel *pixel, uint8_t type, size_t offset, uint32_t count) {
  const size_t bytes = kq_value_bytes(type), step = op->input[0]->shape[3] * bytes;
  __m512i result = all_lanes(type, op->low.fixed);
  for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
    const uint8_t *x = pixel->input + kq_pool_place(op, pixel, row, pixel->columns.begin) * bytes + offset;
    for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column, x += step) {
      result = larger(type, result, kq_load_first(x, count));
    }
  }
  return smaller(type, result, all_lanes(type, op->high.fixed));
}

/* Vector after vector: see kq_pool_avx2.c. */
KQ_INLINE void max_pixel(const kq_operator *op, const kq_pixel *pixel, uint8_t type) {
  const size_t bytes = kq_value_bytes(type), size = op->output->shape[3] * bytes;
  uint8_t *to = pixel->output + pixel->first * bytes;
  for (size_t offset = 0; offset < size; offset += 64) {
    const uint32_t count = size - offset < 64 ? (uint32_t)(size - offset) : 64;
    kq_store_first(to + offset, largest_under(op, pixel, type, offset, count), count);
  }
}

KQ_OF_EACH_TYPE(max_pixels, max_pixel)

/* More than AVX2 takes at once. */
static bool accepts(const kq_operator *op) {
  return kq_has_fixed_output(op) && op->output->shape[3] * kq_value_bytes(op->output->type) > 32;
}

static void run(const kq_operator *op, uint8_t *arena) { max_pixels(op, arena, op->output->type); }

const kq_kernel kq_max_pool_2d_avx512 = {
    .name = "kq_max_pool_2d_avx512",
    .kind = KQ_MAX_POOL_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = accepts,
    .run = run,
};
