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

/* Sums of 16 channels. Those of bytes are formed in 16 bits, MOST_TAPS of them at a time: 128 * 255 < 2^15. */
enum { MOST_TAPS = 128 };
KQ_INLINE void add_words(__m256i words, __m256i total[2]) {
  total[0] = _mm256_add_epi32(total[0], _mm256_cvtepi16_epi32(_mm256_castsi256_si128(words)));
  total[1] = _mm256_add_epi32(total[1], _mm256_cvtepi16_epi32(_mm256_extracti128_si256(words, 1)));
}

KQ_INLINE void sum_16(const kq_operator *op, const kq_pixel *pixel, uint8_t type, uint32_t channel, __m256i total[2]) {
  const uint32_t channels = op->input[0]->shape[3];
  uint32_t taps = 0;
  __m256i words = _mm256_setzero_si256(), v[2];
  total[0] = total[1] = words;
  for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
    size_t place = kq_pool_place(op, pixel, row, pixel->columns.begin) + channel;
    for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column, place += channels) {
      if (kq_value_bytes(type) == 2) {
        kq_load_16(type, pixel->input, (uint32_t)place, v);
        total[0] = _mm256_add_epi32(total[0], v[0]);
        total[1] = _mm256_add_epi32(total[1], v[1]);
        continue;
      }
      const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(pixel->input + place));
      words = _mm256_add_epi16(words, type == KQ_FIXED8 ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes));
      if (++taps % MOST_TAPS != 0) continue;
      add_words(words, total);
      words = _mm256_setzero_si256();
    }
  }
  add_words(words, total);
}

/* Quotients of 4 integers of 32 bits, rounded downwards: exact, as a quotient that is no integer is at least 1 / divisor below
 * the next, and it is less than 2^31 / divisor. */
KQ_INLINE __m128i divided(__m128i numerators, __m256d divisor) {
  return _mm256_cvttpd_epi32(_mm256_floor_pd(_mm256_div_pd(_mm256_cvtepi32_pd(numerators), divisor)));
}

/* See kq_average_pool.c. Compiled once for each type of the input. */
KQ_INLINE void average_pixel(const kq_operator *op, const kq_pixel *pixel, uint8_t type) {
  const kq_tensor *y = op->output;
  const kq_range range = kq_range_of(op);
  const int k = op->input[0]->frac_bits - y->frac_bits;
  const int32_t taps = (int32_t)kq_valid_taps(pixel), denominator = taps << (k > 0 ? k : 0), gain = 2 << (k < 0 ? -k : 0);
  const __m256i half = _mm256_set1_epi32(denominator), factor = _mm256_set1_epi32(gain);
  const __m256d divisor = _mm256_set1_pd(2.0 * denominator);
  uint8_t *to = pixel->output + pixel->first * kq_value_bytes(y->type);
  for (uint32_t channel = 0; channel < y->shape[3]; channel += 16, to += 16 * kq_value_bytes(y->type)) {
    __m256i mean[2];
    sum_16(op, pixel, type, channel, mean);
    for (int i = 0; i < 2; ++i) {
      const __m256i numerator = _mm256_add_epi32(_mm256_mullo_epi32(mean[i], factor), half);
      mean[i] = _mm256_set_m128i(divided(_mm256_extracti128_si256(numerator, 1), divisor),
                                 divided(_mm256_castsi256_si128(numerator), divisor));
    }
    kq_store_16(range, to, mean[0], mean[1]);
  }
}

static void average_s8(const kq_operator *op, const kq_pixel *pixel) { average_pixel(op, pixel, KQ_FIXED8); }
static void average_u8(const kq_operator *op, const kq_pixel *pixel) { average_pixel(op, pixel, KQ_UFIXED8); }
static void average_s16(const kq_operator *op, const kq_pixel *pixel) { average_pixel(op, pixel, KQ_FIXED16); }
static void average_u16(const kq_operator *op, const kq_pixel *pixel) { average_pixel(op, pixel, KQ_UFIXED16); }

static void run_average(const kq_operator *op, uint8_t *arena) {
  switch (op->input[0]->type) {
    case KQ_FIXED8: kq_each_pixel(op, arena, average_s8, NULL); break;
    case KQ_UFIXED8: kq_each_pixel(op, arena, average_u8, NULL); break;
    case KQ_FIXED16: kq_each_pixel(op, arena, average_s16, NULL); break;
    default: kq_each_pixel(op, arena, average_u16, NULL); break;
  }
}

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
