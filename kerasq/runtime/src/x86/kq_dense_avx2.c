/* DENSE for AVX2: one or two blocks of 16 output channels at once. See kq_dense_rows.h. */
#include "kq_dense_rows.h"
#include "kq_wide.h"

enum { MOST = KQ_MOST_TOGETHER_AVX2, MIN_CHUNK = 3 }; /* below which halves are faster */

/* Half a row, in a register: left alone, GCC reads what is used twice from memory twice. */
KQ_INLINE __m256i weights_at(const uint8_t *weights, int half) {
  __m256i w = _mm256_load_si256((const __m256i *)(const void *)(weights + 32 * half));
  __asm__("" : "+x"(w));
  return w;
}

/* ---- 8 bits: sums of `chunk` pairs in 16 bits, of the low (a, b) and high halves (c, d) of the input ---- */

/* Makes sum[block][half] of some rows of `together` blocks. Two rows are taken at once, each into sums of its own; they are
 * variables, not arrays, as compilers keep only those in registers. */
typedef void (*add_bytes)(const uint8_t *low, const uint8_t *high, const uint8_t *weights, uint32_t rows, uint32_t chunk,
                          __m256i sum[MOST][2]);

#define KQ_WHOLE(k, together)                                                                         \
  {                                                                                                   \
    const __m256i u = kq_broadcast(low + 4 * (k / together));                                         \
    KQ_ADD_TO(a##k, _mm256_maddubs_epi16(u, weights_at(weights, 2 * k)))                              \
    KQ_ADD_TO(b##k, _mm256_maddubs_epi16(u, weights_at(weights, 2 * k + 1)))                          \
  }
#define KQ_HALVES(k, together)                                                                             \
  {                                                                                                        \
    const __m256i l = kq_broadcast(low + 4 * (k / together)), h = kq_broadcast(high + 4 * (k / together)); \
    const __m256i w0 = weights_at(weights, 2 * k), w1 = weights_at(weights, 2 * k + 1);                    \
    KQ_ADD_TO(a##k, _mm256_maddubs_epi16(l, w0))                                                           \
    KQ_ADD_TO(b##k, _mm256_maddubs_epi16(l, w1))                                                           \
    KQ_ADD_TO(c##k, _mm256_maddubs_epi16(h, w0))                                                           \
    KQ_ADD_TO(d##k, _mm256_maddubs_epi16(h, w1))                                                           \
  }
#define KQ_ZERO(k) __m256i a##k = zero, b##k = zero, c##k = zero, d##k = zero;
#define KQ_WIDEN_WHOLE(k)                                        \
  s##k = _mm256_add_epi32(s##k, _mm256_madd_epi16(a##k, ones));  \
  t##k = _mm256_add_epi32(t##k, _mm256_madd_epi16(b##k, ones));  \
  (void)c##k, (void)d##k;
#define KQ_WIDEN_HALVES(k)                                           \
  s##k = _mm256_add_epi32(s##k, _mm256_madd_epi16(a##k, ones));      \
  t##k = _mm256_add_epi32(t##k, _mm256_madd_epi16(b##k, ones));      \
  s##k = _mm256_add_epi32(s##k, _mm256_madd_epi16(c##k, sixteens));  \
  t##k = _mm256_add_epi32(t##k, _mm256_madd_epi16(d##k, sixteens));
#define KQ_BYTES(name, together, LINE, WIDEN)                                                                         \
  static void name(const uint8_t *low, const uint8_t *high, const uint8_t *weights, uint32_t rows, uint32_t chunk,    \
                   __m256i sum[MOST][2]) {                                                                            \
    const __m256i ones = _mm256_set1_epi16(1), sixteens = _mm256_set1_epi16(16), zero = _mm256_setzero_si256();       \
    __m256i s0 = zero, t0 = zero, s1 = zero, t1 = zero;                                                               \
    (void)sixteens;                                                                                                   \
    while (rows >= 2) {                                                                                               \
      const uint32_t turns = rows / 2 < chunk ? rows / 2 : chunk;                                                     \
      KQ_ZERO(0) KQ_ZERO(1)                                                                                           \
      for (uint32_t turn = 0; turn < turns; ++turn) {                                                                 \
        LINE(0, together)                                                                                             \
        LINE(1, together)                                                                                             \
        low += 8 / together, high += 8 / together, weights += 2 * KQ_STEP_BYTES;                                      \
      }                                                                                                               \
      rows -= 2 * turns;                                                                                              \
      WIDEN(0) WIDEN(1)                                                                                               \
    }                                                                                                                 \
    if (rows != 0) {                                                                                                  \
      KQ_ZERO(0)                                                                                                      \
      LINE(0, together)                                                                                               \
      WIDEN(0)                                                                                                        \
    }                                                                                                                 \
    sum[0][0] = s0, sum[0][1] = t0;                                                                                   \
    if (together == 2) {                                                                                              \
      sum[together - 1][0] = s1, sum[together - 1][1] = t1;                                                           \
    } else {                                                                                                          \
      sum[0][0] = _mm256_add_epi32(s0, s1), sum[0][1] = _mm256_add_epi32(t0, t1);                                     \
    }                                                                                                                 \
  }
KQ_BYTES(whole_1, 1, KQ_WHOLE, KQ_WIDEN_WHOLE)
KQ_BYTES(whole_2, 2, KQ_WHOLE, KQ_WIDEN_WHOLE)
KQ_BYTES(halves_1, 1, KQ_HALVES, KQ_WIDEN_HALVES)
KQ_BYTES(halves_2, 2, KQ_HALVES, KQ_WIDEN_HALVES)

/* ---- 16 bits and floats: four rows at once ---- */

/* The same for these. */
typedef void (*add_words)(const uint8_t *x, const uint8_t *weights, uint32_t rows, __m256i sum[MOST][2]);

/* sum + products: two of 16 bits, or with the low or high half of weights of 16; or a float. */
KQ_INLINE __m256i multiply_s16(__m256i sum, __m256i x, __m256i w) { return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w)); }
KQ_INLINE __m256i multiply_low(__m256i sum, __m256i x, __m256i w) {
  return multiply_s16(sum, x, _mm256_and_si256(w, _mm256_set1_epi16(255)));
}
KQ_INLINE __m256i multiply_high(__m256i sum, __m256i x, __m256i w) { return multiply_s16(sum, x, _mm256_srai_epi16(w, 8)); }
KQ_INLINE __m256i multiply_f32(__m256i sum, __m256i x, __m256i w) {
  return _mm256_castps_si256(_mm256_fmadd_ps(_mm256_castsi256_ps(x), _mm256_castsi256_ps(w), _mm256_castsi256_ps(sum)));
}
#define add_s16 _mm256_add_epi32
#define add_low _mm256_add_epi32
#define add_high _mm256_add_epi32
KQ_INLINE __m256i add_f32(__m256i a, __m256i b) {
  return _mm256_castps_si256(_mm256_add_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b)));
}

enum { ROWS = 4 };
#define KQ_EACH(DO, type, together) DO(0, type, together) DO(1, type, together) DO(2, type, together) DO(3, type, together)
#define KQ_BEGIN(k, type, together) __m256i a##k = _mm256_setzero_si256(), b##k = a##k;
#define KQ_ROW(k, type, together)                                      \
  {                                                                    \
    const __m256i v = kq_broadcast(x + 4 * (k / together));            \
    a##k = multiply_##type(a##k, v, weights_at(weights, 2 * k));       \
    b##k = multiply_##type(b##k, v, weights_at(weights, 2 * k + 1));   \
  }
#define KQ_LAST_ROW(k, type, together) \
  if (k < rows) KQ_ROW(k, type, together)
#define KQ_GIVE(k, type, together)                                                          \
  sum[k % together][0] = k < together ? a##k : add_##type(sum[k % together][0], a##k);      \
  sum[k % together][1] = k < together ? b##k : add_##type(sum[k % together][1], b##k);
#define KQ_WORDS(type, together)                                                                                  \
  static void type##_##together(const uint8_t *x, const uint8_t *weights, uint32_t rows, __m256i sum[MOST][2]) {  \
    KQ_EACH(KQ_BEGIN, type, together)                                                                             \
    for (; rows >= ROWS; rows -= ROWS, weights += ROWS * KQ_STEP_BYTES, x += 4 * ROWS / together) {               \
      KQ_EACH(KQ_ROW, type, together)                                                                             \
    }                                                                                                             \
    KQ_EACH(KQ_LAST_ROW, type, together)                                                                          \
    KQ_EACH(KQ_GIVE, type, together)                                                                              \
  }
#define KQ_ALL_WORDS(type) KQ_WORDS(type, 1) KQ_WORDS(type, 2)
KQ_ALL_WORDS(s16)
KQ_ALL_WORDS(f32)
KQ_ALL_WORDS(low)
KQ_ALL_WORDS(high)

/* ---- The operator ---- */

/* The input: the low and high halves of its bytes, or all of it; and how many products fit 16 bits. */
typedef struct {
  const uint8_t *low, *high;
  uint32_t chunk;
  bool halves;
} input;

static size_t half_bytes(const kq_operator *op) { return kq_aligned(op->input[KQ_X]->elements + 4u); }

static void split(const uint8_t *x, uint32_t count, uint8_t *low, uint8_t *high) {
  const __m256i nibble = _mm256_set1_epi8(15);
  uint32_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m256i u = _mm256_loadu_si256((const __m256i *)(const void *)(x + i));
    _mm256_storeu_si256((__m256i *)(void *)(low + i), _mm256_and_si256(u, nibble));
    _mm256_storeu_si256((__m256i *)(void *)(high + i), _mm256_and_si256(_mm256_srli_epi16(u, 4), nibble));
  }
  for (; i < count; ++i) {
    low[i] = x[i] & 15;
    high[i] = (uint8_t)(x[i] >> 4);
  }
}

static uint32_t largest(const uint8_t *x, uint32_t count) {
  __m256i all = _mm256_setzero_si256();
  uint32_t i = 0;
  for (; i + 32 <= count; i += 32) all = _mm256_max_epu8(all, _mm256_loadu_si256((const __m256i *)(const void *)(x + i)));
  __m128i some = _mm_max_epu8(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
  some = _mm_max_epu8(some, _mm_srli_si128(some, 8));
  some = _mm_max_epu8(some, _mm_srli_si128(some, 4));
  some = _mm_max_epu8(some, _mm_srli_si128(some, 2));
  uint32_t most = (uint32_t)_mm_cvtsi128_si32(_mm_max_epu8(some, _mm_srli_si128(some, 1))) & 255;
  for (; i < count; ++i) most = x[i] > most ? x[i] : most;
  return most;
}

/* Bytes that are not split lie where kq_gemm_input puts them, at the beginning of the scratch memory or where they were; halves
 * behind them. */
static input input_of(const kq_operator *op, const kq_gemm *gemm, uint8_t *arena) {
  const uint32_t count = op->input[KQ_X]->elements, pair = kq_dense_rows_of(gemm)->largest_pair;
  const uint8_t *x = kq_gemm_input(op, gemm, arena);
  input in = {.low = x, .high = x, .chunk = UINT32_MAX, .halves = false};
  if (gemm->step_type != KQ_STEP_U8) return in;
  const uint32_t product = pair * largest(x, count);
  if (product != 0) in.chunk = INT16_MAX / product;
  if (in.chunk >= MIN_CHUNK) return in;
  uint8_t *low = arena + op->scratch + half_bytes(op), *high = low + half_bytes(op);
  split(x, count, low, high);
  return (input){.low = low, .high = high, .chunk = INT16_MAX / (15 * pair), .halves = true};
}

/* Sums of 64 bits, chunk by chunk. */
static void add_wide(const kq_gemm *gemm, const uint8_t *x, const uint8_t *weights, uint32_t together, kq_wide wide[MOST][1][2]) {
  static const add_words halves[2][MOST + 1] = {{NULL, low_1, low_2}, {NULL, high_1, high_2}};
  static const add_words whole[MOST + 1] = {NULL, s16_1, s16_2};
  const uint32_t steps = kq_dense_rows_of(gemm)->steps;
  memset(wide, 0, MOST * sizeof wide[0]);
  for (uint32_t done = 0; done < steps; done += KQ_HALF_CHUNK) {
    const uint32_t count = steps - done < KQ_HALF_CHUNK ? steps - done : KQ_HALF_CHUNK;
    for (uint32_t half = 0; half < gemm->halves; ++half) {
      __m256i sum[MOST][2];
      const add_words add = gemm->halves == 1 ? whole[together] : halves[half][together];
      add(x + (size_t)done * 4, weights + (size_t)done * together * KQ_STEP_BYTES, count * together, sum);
      for (uint32_t b = 0; b < together; ++b) {
        kq_widen(&wide[b][0][0], sum[b][0], half);
        kq_widen(&wide[b][0][1], sum[b][1], half);
      }
    }
  }
}

static void add_narrow(const kq_gemm *gemm, input x, const uint8_t *weights, uint32_t together, __m256i sum[MOST][2]) {
  static const add_bytes bytes[2][MOST + 1] = {{NULL, whole_1, whole_2}, {NULL, halves_1, halves_2}};
  static const add_words words[2][MOST + 1] = {{NULL, s16_1, s16_2}, {NULL, f32_1, f32_2}};
  const kq_dense_rows *rows = kq_dense_rows_of(gemm);
  if (gemm->step_type == KQ_STEP_U8) {
    bytes[x.halves ? 1 : 0][together](x.low, x.high, weights, rows->steps * together, x.chunk, sum);
  } else {
    words[gemm->step_type == KQ_STEP_F32 ? 1 : 0][together](x.low, weights, rows->steps * together, sum);
  }
}

/* Outputs of `together` blocks from number `number` on. */
static void compute_blocks(const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint32_t together, const void *x,
                           const uint8_t *weights, uint8_t *output) {
  const input *in = x;
  __m256i sum[MOST][2];
  kq_wide wide[MOST][1][2];
  if (gemm->wide) {
    add_wide(gemm, in->low, weights, together, wide);
  } else {
    add_narrow(gemm, *in, weights, together, sum);
  }
  for (uint32_t b = 0; b < together; ++b) {
    const kq_target target = kq_target_of(op, gemm, number + b);
    const int32_t *start = gemm->start + (size_t)(number + b) * KQ_LANES;
    if (gemm->wide) {
      kq_finish_wide(op, gemm, &target, 0, 1, wide[b], output);
      continue;
    }
    for (int half = 0; half < 2 && gemm->step_type != KQ_STEP_F32; ++half) {
      sum[b][half] = _mm256_add_epi32(sum[b][half], _mm256_load_si256((const __m256i *)(const void *)(start + 8 * half)));
    }
    kq_finish_tile(op, gemm, &target, 0, 1, &sum[b], output);
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  const input x = input_of(op, op->packed, arena);
  kq_dense_all(op, arena, MOST, &x, compute_blocks);
}

static size_t scratch_bytes(const kq_operator *op) {
  const size_t halves = kq_step_type_of(op) == KQ_STEP_U8 ? 3 * half_bytes(op) : 0, whole = kq_gemm_scratch_bytes(op);
  return halves > whole ? halves : whole;
}

const kq_kernel kq_dense_avx2 = {
    .name = "kq_dense_avx2",
    .kind = KQ_DENSE,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_dense_accepts,
    .packing = &kq_dense_packing_avx2,
    .scratch_bytes = scratch_bytes,
    .run = run,
};
