/* MAX_POOL_2D and AVERAGE_POOL_2D of fixed values for AVX2, over neighbouring channels. */
#include "../kq_pool.h"
#include "kq_pixels.h"
#include "kq_simd.h"

/* 32, 16, 8 or 4 bytes. */
KQ_INLINE __m256i load(const uint8_t *from, size_t width) {
  switch (width) {
    case 32: return _mm256_loadu_si256((const __m256i *)(const void *)from);
    case 16: return _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)from));
    case 8: return _mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)(const void *)from));
    default: return kq_broadcast(from);
  }
}

KQ_INLINE void store(uint8_t *to, __m256i v, size_t width) {
  const __m128i low = _mm256_castsi256_si128(v);
  const int32_t bits = _mm_cvtsi128_si32(low);
  switch (width) {
    case 32: _mm256_storeu_si256((__m256i *)(void *)to, v); break;
    case 16: _mm_storeu_si128((__m128i *)(void *)to, low); break;
    case 8: _mm_storel_epi64((__m128i *)(void *)to, low); break;
    default: memcpy(to, &bits, sizeof bits); break;
  }
}

/* `width` bytes of channels from byte `offset` of a pixel on, limited. */
KQ_INLINE __m256i largest_under(const kq_operator *op, const kq_pixel *pixel, uint8_t type, size_t offset, size_t width) {
  const size_t bytes = kq_value_bytes(type);
  __m256i result = kq_all_lanes(type, op->low.fixed);
  for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
    const uint8_t *x = pixel->input + kq_pool_place(op, pixel, row, pixel->columns.begin) * bytes + offset;
    for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column) {
      result = kq_larger(type, result, load(x, width));
      x += op->input[0]->shape[3] * bytes;
    }
  }
  return kq_smaller(type, result, kq_all_lanes(type, op->high.fixed));
}

/* The last vector begins so that it ends with the channels. It is computed first: where the output lies over the input, the one
 * before it may write over what it reads. Otherwise vector after vector is as good as channel after channel: by kq_overlap.c no
 * output lies over an input of a later channel. */
KQ_INLINE void max_vectors(const kq_operator *op, const kq_pixel *pixel, uint8_t type, size_t width) {
  const size_t bytes = kq_value_bytes(type), last = op->output->shape[3] * bytes - width;
  uint8_t *to = pixel->output + pixel->first * bytes;
  const __m256i end = largest_under(op, pixel, type, last, width);
  for (size_t offset = 0; offset < last; offset += width) {
    store(to + offset, largest_under(op, pixel, type, offset, width), width);
  }
  store(to + last, end, width);
}

KQ_INLINE void max_pixel(const kq_operator *op, const kq_pixel *pixel, uint8_t type) {
  const size_t size = op->output->shape[3] * kq_value_bytes(type);
  if (size >= 32) {
    max_vectors(op, pixel, type, 32);
  } else if (size >= 16) {
    max_vectors(op, pixel, type, 16);
  } else if (size >= 8) {
    max_vectors(op, pixel, type, 8);
  } else {
    max_vectors(op, pixel, type, 4);
  }
}

KQ_OF_EACH_TYPE(max_pixels, max_pixel)

static void run_max(const kq_operator *op, uint8_t *arena) { max_pixels(op, arena, op->output->type); }

static bool accepts_max(const kq_operator *op) {
  return kq_has_fixed_output(op) && op->output->shape[3] * kq_value_bytes(op->output->type) >= 4;
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

/* See kq_average_pool.c. `type` is the input's. */
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

KQ_OF_EACH_TYPE(average_pixels, average_pixel)

static void run_average(const kq_operator *op, uint8_t *arena) { average_pixels(op, arena, op->input[0]->type); }

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
