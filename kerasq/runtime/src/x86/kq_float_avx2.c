/* ADD and MAX_POOL_2D of FLOAT32 values for AVX2. */
#include "../kq_pool.h"
#include "kq_simd.h"

/* Of a NaN, max_ps and min_ps return their second operand, itself. */
KQ_INLINE __m256 limited(const kq_operator *op, __m256 v) {
  return _mm256_min_ps(_mm256_set1_ps(op->high.real), _mm256_max_ps(_mm256_set1_ps(op->low.real), v));
}

KQ_INLINE __m256 load(const uint8_t *p) { return _mm256_loadu_ps((const float *)(const void *)p); }

static void run_add(const kq_operator *op, uint8_t *arena) {
  const uint8_t *a = kq_input_data(op, 0, arena), *b = kq_input_data(op, 1, arena);
  uint8_t *y = kq_output_data(op, arena);
  const size_t bytes = op->output->bytes;
  size_t i = 0;
  for (; i + 32 <= bytes; i += 32) {
    _mm256_storeu_ps((float *)(void *)(y + i), limited(op, _mm256_add_ps(load(a + i), load(b + i))));
  }
  if (i == bytes) return;
  uint8_t rest_a[32] = {0}, rest_b[32] = {0}, rest_y[32];
  memcpy(rest_a, a + i, bytes - i);
  memcpy(rest_b, b + i, bytes - i);
  _mm256_storeu_ps((float *)(void *)rest_y, limited(op, _mm256_add_ps(load(rest_a), load(rest_b))));
  memcpy(y + i, rest_y, bytes - i);
}

static bool accepts_add(const kq_operator *op) {
  return op->input[KQ_ADD_SECOND_INPUT]->type == KQ_FLOAT32 && op->output->type == KQ_FLOAT32;
}

/* The largest of 8 channels under a window; a NaN among them is the largest. */
KQ_INLINE __m256 largest_under(const kq_operator *op, const kq_pixel *pixel, size_t channel) {
  __m256 result = _mm256_set1_ps(-__builtin_inff());
  for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
    for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column) {
      const __m256 v = load(pixel->input + 4 * (kq_pool_place(op, pixel, row, column) + channel));
      const __m256 is_nan = _mm256_cmp_ps(result, result, _CMP_UNORD_Q);
      result = _mm256_blendv_ps(_mm256_max_ps(result, v), result, is_nan);
    }
  }
  return result;
}

/* The channels of a pixel fill vectors; the last one begins so that it ends with them. */
static void max_pixel(const kq_operator *op, const kq_pixel *pixel) {
  const size_t channels = op->output->shape[3];
  float *to = (float *)(void *)(pixel->output + 4 * (size_t)pixel->first);
  for (size_t channel = 0; channel < channels; channel += 8) {
    const size_t here = channel + 8 <= channels ? channel : channels - 8;
    _mm256_storeu_ps(to + here, limited(op, largest_under(op, pixel, here)));
  }
}

static void run_max(const kq_operator *op, uint8_t *arena) { kq_each_pixel(op, arena, max_pixel, NULL); }

static bool accepts_max(const kq_operator *op) {
  const kq_tensor *x = op->input[0], *y = op->output;
  return y->shape[3] >= 8 && !kq_share_bytes(x, y);
}

const kq_kernel kq_add_float_avx2 = {
    .name = "kq_add_float_avx2",
    .kind = KQ_ADD,
    .input_type = KQ_FLOAT32,
    .weight_type = KQ_ANY,
    .accumulator_bits = 0,
    .accepts = accepts_add,
    .run = run_add,
};
const kq_kernel kq_max_pool_2d_float_avx2 = {
    .name = "kq_max_pool_2d_float_avx2",
    .kind = KQ_MAX_POOL_2D,
    .input_type = KQ_FLOAT32,
    .weight_type = KQ_ANY,
    .accumulator_bits = 0,
    .accepts = accepts_max,
    .run = run_max,
};
