/* Depthwise convolution of 8-bit inputs for AVX2: see kq_depthwise.h. */
#include "kq_depthwise.h"
#include "kq_finish.h"

KQ_INLINE __m256i load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
KQ_INLINE void store(uint8_t *to, __m256i v) { _mm256_storeu_si256((__m256i *)(void *)to, v); }

/* 32 bytes in the order from which unpacking in halves of 128 bits makes neighbours of neighbours. */
KQ_INLINE __m256i ordered(const uint8_t *from, __m256i flip) {
  return _mm256_permutevar8x32_epi32(_mm256_xor_si256(load(from), flip), _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
}

static void interleave(const uint8_t *const source[4], uint8_t flip, uint8_t *to, size_t count) {
  const uint8_t *const a = source[0], *const b = source[1], *const c = source[2], *const d = source[3];
  const __m256i flips = _mm256_set1_epi8((char)flip);
  for (size_t i = 0; i < count; i += 32, to += 128) {
    const __m256i va = ordered(a + i, flips), vb = ordered(b + i, flips), vc = ordered(c + i, flips);
    const __m256i vd = d == b ? vb : ordered(d + i, flips);
    const __m256i ab = _mm256_unpacklo_epi8(va, vb), cd = _mm256_unpacklo_epi8(vc, vd);
    const __m256i ab_high = _mm256_unpackhi_epi8(va, vb), cd_high = _mm256_unpackhi_epi8(vc, vd);
    store(to, _mm256_unpacklo_epi16(ab, cd));
    store(to + 32, _mm256_unpackhi_epi16(ab, cd));
    store(to + 64, _mm256_unpacklo_epi16(ab_high, cd_high));
    store(to + 96, _mm256_unpackhi_epi16(ab_high, cd_high));
  }
}

/* A block. */
typedef struct {
  const kq_depthwise_batch *batch;
  const int32_t *place;
  const uint8_t *weights;
  uint8_t *outputs;
  const int32_t *start;
  const float *factor, *offset;
  __m256i low, high;
  __m128i shift;
  __m128i flip;
  uint32_t steps, narrow, number;
} work;

/* The inputs of 8 channels, `half` of a block: of a plane, or where there are none. */
KQ_INLINE __m256i inputs_at(const work *w, const uint8_t *from, int half, bool pointwise) {
  if (!pointwise) return load(from + 32 * half);
  return _mm256_cvtepu8_epi32(_mm_xor_si128(_mm_loadl_epi64((const __m128i *)(const void *)(from + 8 * half)), w->flip));
}

#define KQ_EACH(DO) DO(0) DO(1) DO(2) DO(3)
#define KQ_TAKE(p)                                                 \
  const uint8_t *const x##p = batch->planes + batch->input[i + p]; \
  __m256i a##p = load(w->start), b##p = load(w->start + 8);

/* 16 bits of two products each. */
#define KQ_NARROW(p)                                                                                         \
  {                                                                                                          \
    const __m256i u = inputs_at(w, x##p + here, 0, pointwise), v = inputs_at(w, x##p + here, 1, pointwise);  \
    a##p = _mm256_add_epi32(a##p, _mm256_madd_epi16(_mm256_maddubs_epi16(u, va), ones));                     \
    b##p = _mm256_add_epi32(b##p, _mm256_madd_epi16(_mm256_maddubs_epi16(v, vb), ones));                     \
  }

/* Any weights: even and odd slots as 16-bit values. */
#define KQ_WIDE(p, sum, half)                                                                    \
  {                                                                                              \
    const __m256i v = load(x##p + here + 32 * half);                                             \
    const __m256i products = _mm256_add_epi32(_mm256_madd_epi16(_mm256_and_si256(v, bytes), even), \
                                              _mm256_madd_epi16(_mm256_srli_epi16(v, 8), odd));  \
    sum##p = _mm256_add_epi32(sum##p, products);                                                 \
  }
#define KQ_WIDE_A(p) KQ_WIDE(p, a, 0)
#define KQ_WIDE_B(p) KQ_WIDE(p, b, 1)
#define KQ_WIDE_HALF(half, LINE)                                                                                       \
  {                                                                                                                    \
    const __m256i v8 = load(weights + 32 * half), bytes = _mm256_set1_epi16(0xFF);                                     \
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(v8, 8), 8), odd = _mm256_srai_epi16(v8, 8);               \
    KQ_EACH(LINE)                                                                                                      \
  }

/* Sums of a tile of pixels. */
#define KQ_SUMS                                                                     \
  const __m256i ones = _mm256_set1_epi16(1);                                        \
  KQ_EACH(KQ_TAKE)                                                                  \
  uint32_t step = 0;                                                                \
  const uint8_t *weights = w->weights;                                              \
  for (; step < w->narrow; ++step, weights += KQ_STEP_BYTES) {                      \
    const __m256i va = load(weights), vb = load(weights + 32);                      \
    const ptrdiff_t here = w->place[step];                                          \
    KQ_EACH(KQ_NARROW)                                                              \
  }                                                                                 \
  for (; step < w->steps; ++step, weights += KQ_STEP_BYTES) {                       \
    const ptrdiff_t here = w->place[step];                                          \
    KQ_WIDE_HALF(0, KQ_WIDE_A)                                                      \
    KQ_WIDE_HALF(1, KQ_WIDE_B)                                                      \
  }

KQ_INLINE __m256i requantized(const work *w, bool fma, __m256i sum, int half) {
  if (!fma) return _mm256_sra_epi32(sum, w->shift);
  const __m256 factor = _mm256_loadu_ps(w->factor + 8 * half), offset = _mm256_loadu_ps(w->offset + 8 * half);
  return _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), factor, offset));
}

#define KQ_FINISH(p) \
  const __m256i y##p = _mm256_packs_epi32(requantized(w, fma, a##p, 0), requantized(w, fma, b##p, 1));

/* Outputs of two pixels from 16-bit values in the order that packing gives. */
KQ_INLINE void store_two(const work *w, bool is_signed, uint32_t i, __m256i first, __m256i second) {
  __m256i bytes = is_signed ? _mm256_packs_epi16(first, second) : _mm256_packus_epi16(first, second);
  bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  bytes = is_signed ? _mm256_min_epi8(_mm256_max_epi8(bytes, w->low), w->high)
                    : _mm256_min_epu8(_mm256_max_epu8(bytes, w->low), w->high);
  _mm_storeu_si128((__m128i *)(void *)(w->outputs + w->batch->output[i]), _mm256_castsi256_si128(bytes));
  _mm_storeu_si128((__m128i *)(void *)(w->outputs + w->batch->output[i + 1]), _mm256_extracti128_si256(bytes, 1));
}

/* Compiled for each finish and sign of the outputs, and for a window of one value. */
KQ_INLINE void compute_pixels(const work *w, bool fma, bool is_signed, bool pointwise) {
  const kq_depthwise_batch *const batch = w->batch;
  for (uint32_t i = 0; i < batch->count; i += KQ_DEPTHWISE_TILE) {
    KQ_SUMS
    KQ_EACH(KQ_FINISH)
    store_two(w, is_signed, i, y0, y1);
    store_two(w, is_signed, i + 2, y2, y3);
  }
}

static void fma_unsigned(const work *w) { compute_pixels(w, true, false, false); }
static void fma_signed(const work *w) { compute_pixels(w, true, true, false); }
static void shift_unsigned(const work *w) { compute_pixels(w, false, false, false); }
static void shift_signed(const work *w) { compute_pixels(w, false, true, false); }
static void point_fma_unsigned(const work *w) { compute_pixels(w, true, false, true); }
static void point_fma_signed(const work *w) { compute_pixels(w, true, true, true); }
static void point_shift_unsigned(const work *w) { compute_pixels(w, false, false, true); }
static void point_shift_signed(const work *w) { compute_pixels(w, false, true, true); }

/* Any other finish. */
static void compute_others(const kq_operator *op, const work *w, bool pointwise) {
  const kq_depthwise_batch *const batch = w->batch;
  for (uint32_t i = 0; i < batch->count; i += KQ_DEPTHWISE_TILE) {
    int32_t sums[KQ_DEPTHWISE_TILE][KQ_LANES];
    KQ_SUMS
#define KQ_GIVE(p)                 \
  store((uint8_t *)sums[p], a##p); \
  store((uint8_t *)(sums[p] + 8), b##p);
    KQ_EACH(KQ_GIVE)
    for (int p = 0; p < KQ_DEPTHWISE_TILE; ++p) {
      kq_depthwise_finish(op, w->number, sums[p], w->outputs + batch->output[i + (uint32_t)p]);
    }
  }
}

static void compute(const kq_operator *op, const kq_depthwise *plan, const kq_depthwise_batch *batch, uint32_t block) {
  const size_t lane = (size_t)block * KQ_LANES;
  const work w = {
      .batch = batch,
      .place = plan->place + (size_t)block * plan->steps,
      .weights = plan->weights + (size_t)block * plan->steps * KQ_STEP_BYTES,
      .outputs = batch->outputs + lane,
      .start = plan->gemm.start + lane,
      .factor = (const float *)(const void *)(plan->gemm.factor + lane),
      .offset = (const float *)(const void *)plan->gemm.offset + lane,
      .low = _mm256_set1_epi8((char)op->low.fixed),
      .high = _mm256_set1_epi8((char)op->high.fixed),
      .shift = _mm_cvtsi32_si128(plan->gemm.shift),
      .flip = _mm_set1_epi8((char)kq_depthwise_flip(op)),
      .steps = plan->steps,
      .narrow = plan->narrow[block],
      .number = block,
  };
  const bool is_signed = op->output->type == KQ_FIXED8;
  if (!kq_is_simple_finish(&plan->gemm)) {
    compute_others(op, &w, plan->pointwise);
  } else if (plan->pointwise && plan->gemm.finish != KQ_FINISH_FMA) {
    (is_signed ? point_shift_signed : point_shift_unsigned)(&w);
  } else if (plan->pointwise) {
    (is_signed ? point_fma_signed : point_fma_unsigned)(&w);
  } else if (plan->gemm.finish != KQ_FINISH_FMA) {
    (is_signed ? shift_signed : shift_unsigned)(&w);
  } else {
    (is_signed ? fma_signed : fma_unsigned)(&w);
  }
}

static const kq_depthwise_tier tier = {.interleave = interleave, .compute = compute};

static void run(const kq_operator *op, uint8_t *arena) { kq_depthwise_run(op, arena, &tier); }
static void compute_piece(const kq_piece *piece) { kq_depthwise_compute_piece(piece, &tier); }

const kq_kernel kq_depthwise_bytes_avx2 = {
    .name = "kq_depthwise_bytes_avx2",
    .kind = KQ_CONV_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = 32,
    .accepts = kq_depthwise_bytes_accepts,
    .packing = &kq_depthwise_packing,
    .scratch_bytes = kq_depthwise_scratch_bytes,
    .run = run,
};

KQ_DEPTHWISE_SPLIT(kq_split_depthwise_bytes_avx2, kq_depthwise_bytes_avx2, compute_piece)
