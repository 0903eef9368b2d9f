/* Depthwise convolution of 8-bit inputs for AVX-512 VNNI: see kq_depthwise.h. */
#include "kq_depthwise.h"
#include "kq_finish_avx512.h"

KQ_INLINE void store(uint8_t *to, __m512i v) { _mm512_storeu_si512((void *)to, v); }

/* 64 bytes in the order from which unpacking in quarters of 128 bits makes neighbours of neighbours. */
KQ_INLINE __m512i ordered(const uint8_t *from, __m512i flip) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, _mm512_xor_si512(_mm512_loadu_si512((const void *)from), flip));
}

static void interleave(const uint8_t *const source[4], uint8_t flip, uint8_t *to, size_t count) {
  const uint8_t *const a = source[0], *const b = source[1], *const c = source[2], *const d = source[3];
  const __m512i flips = _mm512_set1_epi8((char)flip);
  for (size_t i = 0; i < count; i += 64, to += 256) {
    const __m512i va = ordered(a + i, flips), vb = ordered(b + i, flips), vc = ordered(c + i, flips);
    const __m512i vd = d == b ? vb : ordered(d + i, flips);
    const __m512i ab = _mm512_unpacklo_epi8(va, vb), cd = _mm512_unpacklo_epi8(vc, vd);
    const __m512i ab_high = _mm512_unpackhi_epi8(va, vb), cd_high = _mm512_unpackhi_epi8(vc, vd);
    store(to, _mm512_unpacklo_epi16(ab, cd));
    store(to + 64, _mm512_unpackhi_epi16(ab, cd));
    store(to + 128, _mm512_unpacklo_epi16(ab_high, cd_high));
    store(to + 192, _mm512_unpackhi_epi16(ab_high, cd_high));
  }
}

/* A block. */
typedef struct {
  const kq_depthwise_batch *batch;
  const int32_t *place;
  const uint8_t *weights;
  uint8_t *outputs;
  __m512i start;
  __m512 factor, offset;
  __m512i low, high;
  __m128i shift;
  __m128i flip;
  uint32_t steps, number;
} work;

KQ_INLINE __m512i load(const void *p) { return _mm512_loadu_si512(p); }

/* The inputs of 16 channels: of a plane, or where there are none. */
KQ_INLINE __m512i inputs_at(const work *w, const uint8_t *from, bool pointwise) {
  if (!pointwise) return load(from);
  return kq_widened_bytes(false, _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)from), w->flip));
}

#define KQ_EACH(DO) DO(0) DO(1) DO(2) DO(3)
#define KQ_TAKE(p)                                                        \
  const uint8_t *const x##p = batch->planes + batch->input[i + p];        \
  __m512i sum##p = w->start;
#define KQ_ADD(p) sum##p = _mm512_dpbusd_epi32(sum##p, inputs_at(w, x##p + here, pointwise), v);

/* Sums of a tile of pixels, `steps` constant where it is not 0. */
#define KQ_SUMS(count)                                                                     \
  KQ_EACH(KQ_TAKE)                                                                         \
  for (uint32_t step = 0; step < (count); ++step) {                                        \
    const __m512i v = load(w->weights + (size_t)step * KQ_STEP_BYTES);                     \
    const ptrdiff_t here = w->place[step];                                                 \
    KQ_EACH(KQ_ADD)                                                                        \
  }

#define KQ_FINISH(p) \
  const __m512i y##p = fma ? kq_rounded(sum##p, w->factor, w->offset) : kq_shifted(sum##p, w->shift);
#define KQ_STORE(p, value) _mm_storeu_si128((__m128i *)(void *)(w->outputs + batch->output[i + p]), value);

/* Compiled for each finish, sign of the outputs, and for three steps, which is a window of 3x3; and for a window of one value. */
KQ_INLINE void compute_pixels(const work *w, bool fma, bool is_signed, uint32_t constant_steps, bool pointwise) {
  const kq_depthwise_batch *const batch = w->batch;
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  for (uint32_t i = 0; i < batch->count; i += KQ_DEPTHWISE_TILE) {
    KQ_SUMS(constant_steps != 0 ? constant_steps : w->steps)
    KQ_EACH(KQ_FINISH)
    const __m512i first = _mm512_packs_epi32(y0, y1), second = _mm512_packs_epi32(y2, y3);
    __m512i bytes = is_signed ? _mm512_packs_epi16(first, second) : _mm512_packus_epi16(first, second);
    bytes = _mm512_permutexvar_epi32(order, bytes);
    bytes = is_signed ? _mm512_min_epi8(_mm512_max_epi8(bytes, w->low), w->high)
                      : _mm512_min_epu8(_mm512_max_epu8(bytes, w->low), w->high);
    const __m256i lower = kq_half(bytes, 0), upper = kq_half(bytes, 1);
    KQ_STORE(0, _mm256_castsi256_si128(lower))
    KQ_STORE(1, _mm256_extracti128_si256(lower, 1))
    KQ_STORE(2, _mm256_castsi256_si128(upper))
    KQ_STORE(3, _mm256_extracti128_si256(upper, 1))
  }
}

static void fma_unsigned_3(const work *w) { compute_pixels(w, true, false, 3, false); }
static void fma_unsigned(const work *w) { compute_pixels(w, true, false, 0, false); }
static void fma_signed(const work *w) { compute_pixels(w, true, true, 0, false); }
static void shift_unsigned(const work *w) { compute_pixels(w, false, false, 0, false); }
static void shift_signed(const work *w) { compute_pixels(w, false, true, 0, false); }
static void point_fma_unsigned(const work *w) { compute_pixels(w, true, false, 1, true); }
static void point_fma_signed(const work *w) { compute_pixels(w, true, true, 1, true); }
static void point_shift_unsigned(const work *w) { compute_pixels(w, false, false, 1, true); }
static void point_shift_signed(const work *w) { compute_pixels(w, false, true, 1, true); }

/* Any other finish. */
static void compute_others(const kq_operator *op, const work *w, bool pointwise) {
  const kq_depthwise_batch *const batch = w->batch;
  for (uint32_t i = 0; i < batch->count; i += KQ_DEPTHWISE_TILE) {
    int32_t sums[KQ_DEPTHWISE_TILE][KQ_LANES];
    KQ_SUMS(w->steps)
#define KQ_GIVE(p) _mm512_storeu_si512((void *)sums[p], sum##p);
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
      .start = load(plan->gemm.start + lane),
      .factor = _mm512_loadu_ps((const float *)(const void *)(plan->gemm.factor + lane)),
      .offset = _mm512_loadu_ps((const float *)(const void *)plan->gemm.offset + lane),
      .low = _mm512_set1_epi8((char)op->low.fixed),
      .high = _mm512_set1_epi8((char)op->high.fixed),
      .shift = _mm_cvtsi32_si128(plan->gemm.shift),
      .flip = _mm_set1_epi8((char)kq_depthwise_flip(op)),
      .steps = plan->steps,
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
    (is_signed ? fma_signed : plan->steps == 3 ? fma_unsigned_3 : fma_unsigned)(&w);
  }
}

static const kq_depthwise_tier tier = {.interleave = interleave, .compute = compute};

static void run(const kq_operator *op, uint8_t *arena) { kq_depthwise_run(op, arena, &tier); }
static void compute_piece(const kq_piece *piece) { kq_depthwise_compute_piece(piece, &tier); }

const kq_kernel kq_depthwise_bytes_avx512 = {
    .name = "kq_depthwise_bytes_avx512",
    .kind = KQ_CONV_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = 32,
    .accepts = kq_depthwise_bytes_accepts,
    .packing = &kq_depthwise_packing,
    .scratch_bytes = kq_depthwise_scratch_bytes,
    .run = run,
};

KQ_DEPTHWISE_SPLIT(kq_split_depthwise_bytes_avx512, kq_depthwise_bytes_avx512, compute_piece)
