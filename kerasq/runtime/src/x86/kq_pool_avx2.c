/* MAX_POOL_2D and AVERAGE_POOL_2D of fixed values for AVX2, over neighbouring channels. */
#include "../kq_pool.h"
#include "kq_simd.h"

KQ_INLINE __m256i larger(uint8_t type, __m256i a, __m256i b) {
  switch (type) {
    case KQ_FIXED8: return _mm256_max_epi8(a, b);
    case KQ_UFIXED8: return _mm256_max_epu8(a, b);
    case KQ_FIXED16: return _mm256_max_epi16(a, b);
    default: return _mm256_max_epu16(a, b);
  }
}

KQ_INLINE __m256i smaller(uint8_t type, __m256i a, __m256i b) {
  switch (type) {
    case KQ_FIXED8: return _mm256_min_epi8(a, b);
    case KQ_UFIXED8: return _mm256_min_epu8(a, b);
    case KQ_FIXED16: return _mm256_min_epi16(a, b);
    default: return _mm256_min_epu16(a, b);
  }
}

KQ_INLINE __m256i all_lanes(uint8_t type, int32_t value) {
  return kq_value_bytes(type) == 1 ? _mm256_set1_epi8((char)value) : _mm256_set1_epi16((int16_t)value);
}

/* 32 bytes of channels from byte `offset` of a pixel on. */
KQ_INLINE __m256i largest_under(const kq_operator *op, const kq_pixel *pixel, uint8_t type, size_t offset) {
  const size_t bytes = kq_value_bytes(type);
  __m256i result = all_lanes(type, kq_min_int(type));
  for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
    const uint8_t *x = pixel->input + kq_pool_place(op, pixel, row, pixel->columns.begin) * bytes + offset;
    for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column) {
      result = larger(type, result, _mm256_loadu_si256((const __m256i *)(const void *)x));
      x += op->input[0]->shape[3] * bytes;
    }
  }
  return result;
}

/* Compiled once for each type, which makes the choices above disappear. The channels of a pixel fill vectors; the last one
 * begins so that it ends with them. */
KQ_INLINE void max_pixel(const kq_operator *op, const kq_pixel *pixel, uint8_t type) {
  const size_t bytes = kq_value_bytes(type), size = op->output->shape[3] * bytes;
  const __m256i low = all_lanes(type, op->low.fixed), high = all_lanes(type, op->high.fixed);
  uint8_t *to = pixel->output + pixel->first * bytes;
  for (size_t offset = 0; offset < size; offset += 32) {
    const size_t here = offset + 32 <= size ? offset : size - 32;
    __m256i y = largest_under(op, pixel, type, here);
    y = smaller(type, larger(type, y, low), high);
    _mm256_storeu_si256((__m256i *)(void *)(to + here), y);
  }
}

static void max_s8(const kq_operator *op, const kq_pixel *pixel) { max_pixel(op, pixel, KQ_FIXED8); }
static void max_u8(const kq_operator *op, const kq_pixel *pixel) { max_pixel(op, pixel, KQ_UFIXED8); }
static void max_s16(const kq_operator *op, const kq_pixel *pixel) { max_pixel(op, pixel, KQ_FIXED16); }
static void max_u16(const kq_operator *op, const kq_pixel *pixel) { max_pixel(op, pixel, KQ_UFIXED16); }

static void run_max(const kq_operator *op, uint8_t *arena) {
  switch (op->output->type) {
    case KQ_FIXED8: kq_each_pixel(op, arena, max_s8, NULL); break;
    case KQ_UFIXED8: kq_each_pixel(op, arena, max_u8, NULL); break;
    case KQ_FIXED16: kq_each_pixel(op, arena, max_s16, NULL); break;
    default: kq_each_pixel(op, arena, max_u16, NULL); break;
  }
}

/* At least one vector of channels. Where the output may lie over the input, by kq_overlap.c no output lies over one of a later
 * channel, so that vector after vector is as good as channel after channel; but a last vector that begins before the one before
 * it ends would read inputs again after outputs were written there. */
static bool accepts_max(const kq_operator *op) {
  const kq_tensor *y = op->output;
  const size_t size = y->shape[3] * kq_value_bytes(y->type);
  return kq_has_fixed_output(op) && size >= 32 && (size % 32 == 0 || !kq_share_bytes(op->input[0], y));
}

/* Sums of 16 channels. */
KQ_INLINE void average_16(const kq_operator *op, const kq_pixel *pixel, uint32_t channel, int32_t sums[16]) {
  const kq_tensor *x = op->input[0];
  __m256i total[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()}, v[2];
  for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
    for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column) {
      kq_load_16(x->type, pixel->input, kq_pool_place(op, pixel, row, column) + channel, v);
      total[0] = _mm256_add_epi32(total[0], v[0]);
      total[1] = _mm256_add_epi32(total[1], v[1]);
    }
  }
  _mm256_storeu_si256((__m256i *)(void *)sums, total[0]);
  _mm256_storeu_si256((__m256i *)(void *)(sums + 8), total[1]);
}

/* See kq_average_pool.c. */
static void average_pixel(const kq_operator *op, const kq_pixel *pixel) {
  const kq_tensor *y = op->output;
  const int k = op->input[0]->frac_bits - y->frac_bits;
  const int32_t taps = (int32_t)kq_valid_taps(pixel), denominator = taps << (k > 0 ? k : 0), gain = 2 << (k < 0 ? -k : 0);
  int32_t sums[16];
  for (uint32_t channel = 0; channel < y->shape[3]; channel += 16) {
    average_16(op, pixel, channel, sums);
    for (uint32_t i = 0; i < 16; ++i) {
      const int32_t numerator = sums[i] * gain + denominator, divisor = 2 * denominator;
      const int32_t mean = numerator / divisor - (numerator % divisor < 0 ? 1 : 0);
      pixel->write(pixel->output, pixel->first + channel + i, (int32_t)kq_clamp(mean, op->low.fixed, op->high.fixed));
    }
  }
}

static void run_average(const kq_operator *op, uint8_t *arena) { kq_each_pixel(op, arena, average_pixel, NULL); }

static bool accepts_average(const kq_operator *op) {
  return kq_is_fixed_throughout(op) && op->output->shape[3] % 16 == 0;
}

const kq_kernel kq_max_pool_2d_avx2 = {
    .name = "kq_max_pool_2d_avx2",
    .kind = KQ_MAX_POOL_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = accepts_max,
    .run = run_max,
};
const kq_kernel kq_average_pool_2d_avx2 = {
    .name = "kq_average_pool_2d_avx2",
    .kind = KQ_AVERAGE_POOL_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = 32,
    .accepts = accepts_average,
    .run = run_average,
};
