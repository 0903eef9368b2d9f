/* DENSE for AVX-512 VNNI: up to 8 blocks of 16 output channels at once. See kq_dense_rows.h. */
#include "kq_dense_rows.h"
#include "kq_finish_avx512.h"

enum { ROWS = 8 }; /* whose sums are in registers */

/* As kq_products_s16, with the low or high half of weights of 16 bits. */
KQ_INLINE __m512i kq_products_low(__m512i sum, __m512i x, __m512i w) {
  return _mm512_dpwssd_epi32(sum, x, _mm512_and_si512(w, _mm512_set1_epi16(255)));
}
KQ_INLINE __m512i kq_products_high(__m512i sum, __m512i x, __m512i w) {
  return _mm512_dpwssd_epi32(sum, x, _mm512_srai_epi16(w, 8));
}

#define add_u8 _mm512_add_epi32
#define add_s16 _mm512_add_epi32
#define add_low _mm512_add_epi32
#define add_high _mm512_add_epi32
KQ_INLINE __m512i add_f32(__m512i a, __m512i b) {
  return _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b)));
}

/* Makes sum[block] of some rows, of `together` blocks. Row number k of ROWS adds to a sum of its own, which is one of block k %
 * together; they are variables, not arrays, as compilers keep only those in registers. */
typedef void (*add_rows)(const uint8_t *x, const uint8_t *weights, uint32_t rows, __m512i sum[ROWS]);

#define KQ_EACH(DO, type, together)                                                             \
  DO(0, type, together) DO(1, type, together) DO(2, type, together) DO(3, type, together)       \
  DO(4, type, together) DO(5, type, together) DO(6, type, together) DO(7, type, together)
#define KQ_ZERO(k, type, together) __m512i a##k = _mm512_setzero_si512();
#define KQ_ROW(k, type, together)                                                 \
  a##k = kq_products_##type(a##k, kq_broadcast_512(x + 4 * (k / together)),       \
                         _mm512_loadu_si512(weights + (size_t)k * KQ_STEP_BYTES));
#define KQ_LAST_ROW(k, type, together) \
  if (k < rows) KQ_ROW(k, type, together)
#define KQ_GIVE(k, type, together) sum[k % together] = k < together ? a##k : add_##type(sum[k % together], a##k);
#define KQ_ROWS(type, together)                                                                               \
  static void type##_##together(const uint8_t *x, const uint8_t *weights, uint32_t rows, __m512i sum[ROWS]) { \
    KQ_EACH(KQ_ZERO, type, together)                                                                          \
    for (; rows >= ROWS; rows -= ROWS, weights += ROWS * KQ_STEP_BYTES, x += 4 * ROWS / together) {           \
      KQ_EACH(KQ_ROW, type, together)                                                                         \
    }                                                                                                         \
    KQ_EACH(KQ_LAST_ROW, type, together)                                                                      \
    KQ_EACH(KQ_GIVE, type, together)                                                                          \
  }
#define KQ_ALL_ROWS(type) KQ_ROWS(type, 1) KQ_ROWS(type, 2) KQ_ROWS(type, 4) KQ_ROWS(type, 8)
KQ_ALL_ROWS(u8)
KQ_ALL_ROWS(s16)
KQ_ALL_ROWS(f32)
KQ_ALL_ROWS(low)
KQ_ALL_ROWS(high)

#define KQ_LOOPS(type) {[1] = type##_1, [2] = type##_2, [4] = type##_4, [8] = type##_8}
static const add_rows loops[][KQ_MOST_TOGETHER + 1] = {
    [KQ_STEP_U8] = KQ_LOOPS(u8), [KQ_STEP_S16] = KQ_LOOPS(s16), [KQ_STEP_F32] = KQ_LOOPS(f32)};
static const add_rows half_loops[][KQ_MOST_TOGETHER + 1] = {KQ_LOOPS(low), KQ_LOOPS(high)};

/* Sums of 64 bits, chunk by chunk, in registers of 256 bits, which is how they are finished. */
static void add_wide(const kq_gemm *gemm, const uint8_t *x, const uint8_t *weights, uint32_t together,
                     kq_wide wide[KQ_MOST_TOGETHER][1][2]) {
  const uint32_t steps = kq_dense_rows_of(gemm)->steps;
  memset(wide, 0, KQ_MOST_TOGETHER * sizeof wide[0]);
  for (uint32_t done = 0; done < steps; done += KQ_HALF_CHUNK) {
    const uint32_t count = steps - done < KQ_HALF_CHUNK ? steps - done : KQ_HALF_CHUNK;
    for (uint32_t half = 0; half < gemm->halves; ++half) {
      __m512i sum[ROWS];
      const add_rows add = gemm->halves == 1 ? loops[KQ_STEP_S16][together] : half_loops[half][together];
      add(x + (size_t)done * 4, weights + (size_t)done * together * KQ_STEP_BYTES, count * together, sum);
      for (uint32_t b = 0; b < together; ++b) {
        kq_widen(&wide[b][0][0], kq_half(sum[b], 0), half);
        kq_widen(&wide[b][0][1], kq_half(sum[b], 1), half);
      }
    }
  }
}

/* Outputs of 8 bits, of four blocks at once: what four pixels are to a convolution. */
static void finish_bytes(const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint32_t together, const __m512i sum[ROWS],
                         uint8_t *output) {
  const kq_addends none = {.first = NULL};
  for (uint32_t b = 0; b < together; b += 4) {
    const kq_target target = kq_target_of(op, gemm, number + b);
    uint8_t *to = output + target.first;
    __m512i y[4];
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t here = b + i < together ? b + i : b;
      const kq_finish_terms terms = kq_finish_terms_of(gemm, number + here, none);
      y[i] = kq_requantize_512(&terms, gemm->finish == KQ_FINISH_FMA, KQ_NO_ADDEND, 0, sum[here]);
    }
    const __m512i bytes = kq_four_pixels(&target, y[0], y[1], y[2], y[3]);
    const __m256i halves[2] = {kq_half(bytes, 0), kq_half(bytes, 1)};
    for (uint32_t i = 0; i < 4 && b + i < together; ++i) {
      const __m256i half = halves[i / 2];
      const __m128i block = i % 2 == 0 ? _mm256_castsi256_si128(half) : _mm256_extracti128_si256(half, 1);
      kq_store_bytes(to + (size_t)i * KQ_LANES, block, gemm->block[number + b + i].channels);
    }
  }
}

static void finish_narrow(const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint32_t together, __m512i sum[ROWS],
                          uint8_t *output) {
  for (uint32_t b = 0; b < together && gemm->step_type != KQ_STEP_F32; ++b) {
    sum[b] = _mm512_add_epi32(sum[b], _mm512_loadu_si512(gemm->start + (size_t)(number + b) * KQ_LANES));
  }
  if (kq_finishes_bytes(op, gemm)) {
    finish_bytes(op, gemm, number, together, sum, output);
    return;
  }
  for (uint32_t b = 0; b < together; ++b) {
    const kq_target target = kq_target_of(op, gemm, number + b);
    __m256i halves[1][2] = {{kq_half(sum[b], 0), kq_half(sum[b], 1)}};
    kq_finish_tile(op, gemm, &target, 0, 1, halves, output);
  }
}

/* Outputs of `together` blocks from number `number` on. */
static void compute_blocks(const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint32_t together, const void *x,
                           const uint8_t *weights, uint8_t *output) {
  __m512i sum[ROWS];
  kq_wide wide[KQ_MOST_TOGETHER][1][2];
  if (!gemm->wide) {
    loops[gemm->step_type][together](x, weights, kq_dense_rows_of(gemm)->steps * together, sum);
    finish_narrow(op, gemm, number, together, sum, output);
    return;
  }
  add_wide(gemm, x, weights, together, wide);
  for (uint32_t b = 0; b < together; ++b) {
    const kq_target target = kq_target_of(op, gemm, number + b);
    kq_finish_wide(op, gemm, &target, 0, 1, wide[b], output);
  }
}

/* ---- Several examples: a product of matrices, every weight read once for EXAMPLES of them ---- */

enum { EXAMPLES = 4, QUARTER = 4 /* blocks */ };

/* Makes sum[example][block] of 1, 2 or 4 blocks that lie side by side in rows of `row_bytes` for each step. */
typedef void (*add_examples)(const uint8_t *const x[EXAMPLES], const uint8_t *weights, uint32_t steps, size_t row_bytes,
                             __m512i sum[EXAMPLES][ROWS]);

#define KQ_FOR_EXAMPLES(DO, type, b) DO(0, type, b) DO(1, type, b) DO(2, type, b) DO(3, type, b)
#define KQ_FOR_1(DO, type) KQ_FOR_EXAMPLES(DO, type, 0)
#define KQ_FOR_2(DO, type) KQ_FOR_1(DO, type) KQ_FOR_EXAMPLES(DO, type, 1)
#define KQ_FOR_4(DO, type) KQ_FOR_2(DO, type) KQ_FOR_EXAMPLES(DO, type, 2) KQ_FOR_EXAMPLES(DO, type, 3)
#define KQ_BEGIN(e, type, b) __m512i s##e##b = _mm512_setzero_si512();
#define KQ_ADD(e, type, b) \
  s##e##b = kq_products_##type(s##e##b, v##e, _mm512_loadu_si512(weights + (size_t)b * KQ_STEP_BYTES));
#define KQ_END(e, type, b) sum[e][b] = s##e##b;
#define KQ_EXAMPLES(type, blocks)                                                                                       \
  static void examples_##type##_##blocks(const uint8_t *const x[EXAMPLES], const uint8_t *weights, uint32_t steps,      \
                                         size_t row_bytes, __m512i sum[EXAMPLES][ROWS]) {                               \
    KQ_FOR_##blocks(KQ_BEGIN, type)                                                                                     \
    for (size_t place = 0; place < 4 * (size_t)steps; place += 4, weights += row_bytes) {                               \
      const __m512i v0 = kq_broadcast_512(x[0] + place), v1 = kq_broadcast_512(x[1] + place);                           \
      const __m512i v2 = kq_broadcast_512(x[2] + place), v3 = kq_broadcast_512(x[3] + place);                           \
      KQ_FOR_##blocks(KQ_ADD, type)                                                                                     \
    }                                                                                                                   \
    KQ_FOR_##blocks(KQ_END, type)                                                                                       \
  }
#define KQ_ALL_EXAMPLES(type) KQ_EXAMPLES(type, 1) KQ_EXAMPLES(type, 2) KQ_EXAMPLES(type, 4)
KQ_ALL_EXAMPLES(u8)
KQ_ALL_EXAMPLES(s16)

#define KQ_EXAMPLE_LOOPS(type) {[1] = examples_##type##_1, [2] = examples_##type##_2, [4] = examples_##type##_4}
static const add_examples example_loops[][QUARTER + 1] = {[KQ_STEP_U8] = KQ_EXAMPLE_LOOPS(u8),
                                                          [KQ_STEP_S16] = KQ_EXAMPLE_LOOPS(s16)};

/* Inputs of EXAMPLES examples, the last of which may be one example again, and where the outputs of `count` of them begin. */
typedef struct {
  const uint8_t *x[EXAMPLES];
  uint8_t *output;
  size_t step;
  uint32_t count;
} some_examples;

/* kq_compute_blocks for some examples. */
static void compute_examples(const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint32_t together, const void *x,
                             const uint8_t *weights, uint8_t *output) {
  const some_examples *some = x;
  const uint32_t blocks = together < QUARTER ? together : QUARTER;
  (void)output;
  for (uint32_t b = 0; b < together; b += blocks) {
    __m512i sum[EXAMPLES][ROWS];
    example_loops[gemm->step_type][blocks](some->x, weights + (size_t)b * KQ_STEP_BYTES, kq_dense_rows_of(gemm)->steps,
                                           (size_t)together * KQ_STEP_BYTES, sum);
    for (uint32_t e = 0; e < some->count; ++e) {
      finish_narrow(op, gemm, number + b, blocks, sum[e], some->output + e * some->step);
    }
  }
}

static void run_several(const kq_operator *op, uint8_t *arenas, size_t step, uint32_t examples) {
  const kq_gemm *gemm = op->packed;
  for (uint32_t first = 0; first < examples; first += EXAMPLES) {
    uint8_t *arena = arenas + first * step;
    some_examples some = {.output = kq_output_data(op, arena), .step = step, .count = examples - first};
    if (some.count > EXAMPLES) some.count = EXAMPLES;
    if (gemm->wide || gemm->step_type == KQ_STEP_F32 || some.count == 1) { /* floats are added in one order, however many */
      for (uint32_t e = 0; e < some.count; ++e) op->kernel->run(op, arena + e * step);
      continue;
    }
    for (uint32_t e = 0; e < EXAMPLES; ++e) {
      some.x[e] = e < some.count ? kq_gemm_input(op, gemm, arena + e * step) : some.x[0];
    }
    kq_dense_all(op, arena, KQ_MOST_TOGETHER, &some, compute_examples);
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  kq_dense_all(op, arena, KQ_MOST_TOGETHER, kq_gemm_input(op, op->packed, arena), compute_blocks);
}

const kq_kernel kq_dense_avx512 = {
    .name = "kq_dense_avx512",
    .kind = KQ_DENSE,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_dense_accepts,
    .packing = &kq_dense_packing,
    .scratch_bytes = kq_gemm_scratch_bytes,
    .run = run,
    .run_several = run_several,
};
