/* MAX_POOL_2D of fixed values, over neighbouring channels: 16 bytes of them at a time. */
#include "../kq_pool.h"
#include "kq_neon.h"

enum { VECTOR = 16 };

KQ_INLINE uint8x16_t larger(uint8_t type, uint8x16_t a, uint8x16_t b) {
  switch (type) {
    case KQ_FIXED8: return vreinterpretq_u8_s8(vmaxq_s8(vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b)));
    case KQ_UFIXED8: return vmaxq_u8(a, b);
    case KQ_FIXED16: return vreinterpretq_u8_s16(vmaxq_s16(vreinterpretq_s16_u8(a), vreinterpretq_s16_u8(b)));
    default: return vreinterpretq_u8_u16(vmaxq_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b)));
  }
}

KQ_INLINE uint8x16_t smaller(uint8_t type, uint8x16_t a, uint8x16_t b) {
  switch (type) {
    case KQ_FIXED8: return vreinterpretq_u8_s8(vminq_s8(vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b)));
    case KQ_UFIXED8: return vminq_u8(a, b);
    case KQ_FIXED16: return vreinterpretq_u8_s16(vminq_s16(vreinterpretq_s16_u8(a), vreinterpretq_s16_u8(b)));
    default: return vreinterpretq_u8_u16(vminq_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b)));
  }
}

KQ_INLINE uint8x16_t all_lanes(uint8_t type, int32_t value) {
  return kq_value_bytes(type) == 1 ? vdupq_n_u8((uint8_t)value) : vreinterpretq_u8_u16(vdupq_n_u16((uint16_t)value));
}

/* Of the channels from byte `offset` of a pixel on. */
KQ_INLINE uint8x16_t largest_under(const kq_operator *op, const kq_pixel *pixel, uint8_t type, size_t offset) {
  const size_t bytes = kq_value_bytes(type), step = op->input[0]->shape[3] * bytes;
  uint8x16_t result = all_lanes(type, kq_min_int(type));
  for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
    const uint8_t *x = pixel->input + kq_pool_place(op, pixel, row, pixel->columns.begin) * bytes + offset;
    for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column, x += step) {
      result = larger(type, result, vld1q_u8(x));
    }
  }
  return result;
}

/* Compiled once for each type. The last vector of a pixel begins so that it ends with the channels. */
KQ_INLINE void compute(const kq_operator *op, const kq_pixel *pixel, uint8_t type) {
  const size_t bytes = kq_value_bytes(type), size = op->output->shape[3] * bytes;
  const uint8x16_t low = all_lanes(type, op->low.fixed), high = all_lanes(type, op->high.fixed);
  uint8_t *to = pixel->output + pixel->first * bytes;
  for (size_t offset = 0; offset < size; offset += VECTOR) {
    const size_t here = offset + VECTOR <= size ? offset : size - VECTOR;
    vst1q_u8(to + here, smaller(type, larger(type, largest_under(op, pixel, type, here), low), high));
  }
}

static void compute_s8(const kq_operator *op, const kq_pixel *pixel) { compute(op, pixel, KQ_FIXED8); }
static void compute_u8(const kq_operator *op, const kq_pixel *pixel) { compute(op, pixel, KQ_UFIXED8); }
static void compute_s16(const kq_operator *op, const kq_pixel *pixel) { compute(op, pixel, KQ_FIXED16); }
static void compute_u16(const kq_operator *op, const kq_pixel *pixel) { compute(op, pixel, KQ_UFIXED16); }

static void run(const kq_operator *op, uint8_t *arena) {
  static void (*const computes[])(const kq_operator *, const kq_pixel *) = {
      [KQ_FIXED8] = compute_s8, [KQ_UFIXED8] = compute_u8, [KQ_FIXED16] = compute_s16, [KQ_UFIXED16] = compute_u16};
  kq_each_pixel(op, arena, computes[op->output->type], NULL);
}

/* At least one vector of channels. Where the output may lie over the input no output lies over one of a later channel
 * (kq_overlap.c), so that vector after vector is as good as channel after channel; but a last vector that begins before the one
 * before it ends would read inputs again after outputs were written there. */
static bool accepts(const kq_operator *op) {
  const kq_tensor *y = op->output;
  const size_t size = y->shape[3] * kq_value_bytes(y->type);
  return kq_has_fixed_output(op) && size >= VECTOR && (size % VECTOR == 0 || !kq_share_bytes(op->input[0], y));
}

const kq_kernel kq_max_pool_2d_neon = {
    .name = "kq_max_pool_2d_neon",
    .kind = KQ_MAX_POOL_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = accepts,
    .run = run,
};
