/* ADD, QUANTIZE, CONCAT and MUL of fixed values for AVX2: 16 or 32 values at a time, in 32 or, where everything fits, in 16 bits. */
#include "kq_simd.h"

/* y = clamp(((a << left) + (b << right) + half) >> shift), or with a left shift instead: `shift` < 0. */
typedef struct {
  uint8_t a_type, b_type, y_type;
  int left, right, shift;
  int32_t half;
  int32_t zero; /* MUL: y = clamp(((a - zero) * b + half) >> shift) */
  kq_range range;
} sums;

KQ_INLINE __m256i shifted_left(__m256i v, int places) { return _mm256_sll_epi32(v, _mm_cvtsi32_si128(places)); }

KQ_INLINE void add_16(const sums *s, const uint8_t *a, const uint8_t *b, size_t i, uint8_t *to) {
  __m256i u[2], v[2];
  kq_load_16(s->a_type, a, i, u);
  const __m128i shift = _mm_cvtsi32_si128(s->shift);
  for (int h = 0; h < 2; ++h) u[h] = _mm256_add_epi32(shifted_left(u[h], s->left), _mm256_set1_epi32(s->half));
  if (b != NULL) {
    kq_load_16(s->b_type, b, i, v);
    for (int h = 0; h < 2; ++h) u[h] = _mm256_add_epi32(u[h], shifted_left(v[h], s->right));
  }
  kq_store_16(s->range, to, _mm256_sra_epi32(u[0], shift), _mm256_sra_epi32(u[1], shift));
}

KQ_INLINE __m256i load_narrow(uint8_t type, const uint8_t *p) {
  const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
  return type == KQ_FIXED8 ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
}

/* 32 values of 8 bits whose sums fit 16 bits. */
KQ_INLINE void add_32_narrow(const sums *s, const uint8_t *a, const uint8_t *b, uint8_t *to) {
  const __m128i left = _mm_cvtsi32_si128(s->left), right = _mm_cvtsi32_si128(s->right), shift = _mm_cvtsi32_si128(s->shift);
  __m256i y[2];
  for (int h = 0; h < 2; ++h) {
    const __m256i u = _mm256_sll_epi16(load_narrow(s->a_type, a + 16 * h), left);
    const __m256i v = _mm256_sll_epi16(load_narrow(s->b_type, b + 16 * h), right);
    const __m256i sum = _mm256_add_epi16(_mm256_add_epi16(u, v), _mm256_set1_epi16((int16_t)s->half));
    y[h] = _mm256_min_epi16(_mm256_max_epi16(_mm256_sra_epi16(sum, shift), s->range.low), s->range.high);
  }
  const __m256i bytes = s->y_type == KQ_FIXED8 ? _mm256_packs_epi16(y[0], y[1]) : _mm256_packus_epi16(y[0], y[1]);
  _mm256_storeu_si256((__m256i *)(void *)to, _mm256_permute4x64_epi64(bytes, 0xd8));
}

static bool is_byte(uint8_t type) { return kq_value_bytes(type) == 1; }

/* The output may lie over either input, place by place: each group of values is read before it is written. The last, shorter
 * group is computed in a buffer. */
static void add_all(size_t count, const sums *s, const uint8_t *a, const uint8_t *b, uint8_t *y, int32_t bound) {
  const size_t y_bytes = kq_value_bytes(s->y_type), a_bytes = kq_value_bytes(s->a_type);
  size_t i = 0;
  if (b != NULL && is_byte(s->a_type) && is_byte(s->b_type) && is_byte(s->y_type) && bound < 1 << 15) {
    for (; i + 32 <= count; i += 32) add_32_narrow(s, a + i, b + i, y + i);
  }
  for (; i + 16 <= count; i += 16) add_16(s, a, b, i, y + i * y_bytes);
  if (i == count) return;
  uint8_t rest_a[32], rest_b[32], rest_y[32];
  memset(rest_a, 0, sizeof rest_a);
  memset(rest_b, 0, sizeof rest_b);
  memcpy(rest_a, a + i * a_bytes, (count - i) * a_bytes);
  if (b != NULL) memcpy(rest_b, b + i * kq_value_bytes(s->b_type), (count - i) * kq_value_bytes(s->b_type));
  add_16(s, rest_a, b == NULL ? NULL : rest_b, 0, rest_y);
  memcpy(y + i * y_bytes, rest_y, (count - i) * y_bytes);
}

/* Of two inputs, or twice the same. */
static sums sums_of(const kq_operator *op, const kq_tensor *a, const kq_tensor *b) {
  const kq_tensor *y = op->output;
  const int frac_bits = a->frac_bits > b->frac_bits ? a->frac_bits : b->frac_bits;
  sums s = {
      .a_type = a->type,
      .b_type = b->type,
      .y_type = y->type,
      .left = frac_bits - a->frac_bits,
      .right = frac_bits - b->frac_bits,
      .shift = frac_bits - y->frac_bits,
      .half = 0,
      .range = kq_range_of(op),
  };
  if (s.shift > 0 && s.shift < 32) s.half = (int32_t)(1u << (s.shift - 1));
  return s;
}

static bool shifts_right(const sums *s) { return s->shift >= 0 && s->shift < 32 && s->left < 32 && s->right < 32; }

/* Sums that fit 32 bits (as recorded), shifted right. */
static bool accepts(const kq_operator *op) {
  const sums s = sums_of(op, op->input[0], op->input[op->kind == KQ_ADD ? KQ_ADD_SECOND_INPUT : 0]);
  return kq_is_fixed_throughout(op) && shifts_right(&s);
}

static void run_add(const kq_operator *op, uint8_t *arena) {
  const sums s = sums_of(op, op->input[KQ_ADD_FIRST_INPUT], op->input[KQ_ADD_SECOND_INPUT]);
  const int64_t largest_a = kq_max_magnitude(s.a_type), largest_b = kq_max_magnitude(s.b_type);
  const int32_t bound = (int32_t)((largest_a << s.left) + (largest_b << s.right) + s.half);
  add_all(op->output->elements, &s, kq_input_data(op, 0, arena), kq_input_data(op, 1, arena), kq_output_data(op, arena), bound);
}

static void run_quantize(const kq_operator *op, uint8_t *arena) {
  const sums s = sums_of(op, op->input[0], op->input[0]);
  add_all(op->output->elements, &s, kq_input_data(op, 0, arena), NULL, kq_output_data(op, arena), 0);
}

/* ---- CONCAT: each input's channels of every pixel are quantized into their place ---- */

static bool concat_accepts(const kq_operator *op) {
  if (!kq_is_fixed_throughout(op)) return false;
  for (uint32_t i = 0; i < op->inputs; ++i) {
    const sums s = sums_of(op, op->input[i], op->input[i]);
    if (!shifts_right(&s)) return false;
  }
  return true;
}

/* Few bytes, without a call. */
KQ_INLINE void move(uint8_t *to, const uint8_t *from, size_t bytes) {
  for (; bytes >= 16; bytes -= 16, to += 16, from += 16) {
    _mm_storeu_si128((__m128i *)(void *)to, _mm_loadu_si128((const __m128i *)(const void *)from));
  }
  for (; bytes != 0; --bytes) *to++ = *from++;
}

static void run_concat(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *y = op->output;
  const size_t y_bytes = kq_value_bytes(y->type), y_step = y->shape[y->rank - 1] * y_bytes;
  uint8_t *first = kq_output_data(op, arena);
  for (uint32_t i = 0; i < op->inputs; ++i) {
    const kq_tensor *x = op->input[i];
    const sums s = sums_of(op, x, x);
    const uint32_t channels = x->shape[x->rank - 1];
    const size_t x_step = channels * kq_value_bytes(x->type);
    const bool moves = kq_has_format_of(x, y) && !op->has_clamp;
    const uint8_t *from = kq_input_data(op, i, arena);
    uint8_t *to = first;
    for (uint32_t pixel = 0; pixel < x->elements / channels; ++pixel, from += x_step, to += y_step) {
      if (moves) {
        move(to, from, x_step);
      } else {
        add_all(channels, &s, from, NULL, to, 0);
      }
    }
    first += channels * y_bytes;
  }
}

/* ---- MUL: products that fit 32 bits with the rounding half, as recorded ---- */

static int mul_shift(const kq_operator *op) {
  return op->input[KQ_MUL_FIRST_INPUT]->frac_bits + op->input[KQ_MUL_SECOND_INPUT]->frac_bits - op->output->frac_bits;
}

static bool mul_accepts(const kq_operator *op) {
  return kq_is_fixed_throughout(op) && mul_shift(op) >= 0 && mul_shift(op) < 32;
}

KQ_INLINE void multiply_16(const sums *s, const uint8_t *a, const uint8_t *b, size_t i, uint8_t *to) {
  __m256i u[2], v[2];
  kq_load_16(s->a_type, a, i, u);
  kq_load_16(s->b_type, b, i, v);
  const __m128i shift = _mm_cvtsi32_si128(s->shift);
  for (int h = 0; h < 2; ++h) {
    const __m256i product = _mm256_mullo_epi32(_mm256_sub_epi32(u[h], _mm256_set1_epi32(s->zero)), v[h]);
    u[h] = _mm256_sra_epi32(_mm256_add_epi32(product, _mm256_set1_epi32(s->half)), shift);
  }
  kq_store_16(s->range, to, u[0], u[1]);
}

/* `count` values, as add_all. */
static void multiply_all(size_t count, const sums *s, const uint8_t *a, const uint8_t *b, uint8_t *y) {
  const size_t a_bytes = kq_value_bytes(s->a_type), b_bytes = kq_value_bytes(s->b_type), y_bytes = kq_value_bytes(s->y_type);
  uint8_t rest_a[32] = {0}, rest_b[32] = {0}, rest_y[32];
  size_t i = 0;
  for (; i + 16 <= count; i += 16) multiply_16(s, a, b, i, y + i * y_bytes);
  if (i == count) return;
  memcpy(rest_a, a + i * a_bytes, (count - i) * a_bytes);
  memcpy(rest_b, b + i * b_bytes, (count - i) * b_bytes);
  multiply_16(s, rest_a, rest_b, 0, rest_y);
  memcpy(y + i * y_bytes, rest_y, (count - i) * y_bytes);
}

/* The second input is as large as the first, or has a value for each channel, which every pixel is multiplied by. */
static void run_mul(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *a = op->input[KQ_MUL_FIRST_INPUT], *b = op->input[KQ_MUL_SECOND_INPUT];
  const size_t a_step = b->elements * kq_value_bytes(a->type), y_step = b->elements * kq_value_bytes(op->output->type);
  const uint8_t *from = kq_input_data(op, KQ_MUL_FIRST_INPUT, arena), *by = kq_input_data(op, KQ_MUL_SECOND_INPUT, arena);
  uint8_t *to = kq_output_data(op, arena);
  sums s = sums_of(op, a, b);
  s.shift = mul_shift(op);
  s.half = s.shift > 0 ? (int32_t)(1u << (s.shift - 1)) : 0;
  s.zero = op->zero;
  for (uint32_t first = 0; first < a->elements; first += b->elements, from += a_step, to += y_step) {
    multiply_all(b->elements, &s, from, by, to);
  }
}

const kq_kernel kq_add_avx2 = {
    .name = "kq_add_avx2",
    .kind = KQ_ADD,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = 32,
    .accepts = accepts,
    .run = run_add,
};
const kq_kernel kq_quantize_avx2 = {
    .name = "kq_quantize_avx2",
    .kind = KQ_QUANTIZE,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = 32,
    .accepts = accepts,
    .run = run_quantize,
};
const kq_kernel kq_concat_avx2 = {
    .name = "kq_concat_avx2",
    .kind = KQ_CONCAT,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = 32,
    .accepts = concat_accepts,
    .run = run_concat,
};
const kq_kernel kq_mul_avx2 = {
    .name = "kq_mul_avx2",
    .kind = KQ_MUL,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = 32,
    .accepts = mul_accepts,
    .run = run_mul,
};
