/* Convolution for AVX2: tiles of 4 output pixels by 16 output channels. See kq_gemm.h. */
#include "../packed/kq_rounding.h"
#include "kq_wide.h"

enum { TILE = 4 };

/* One block's steps, and the values that its sums start from. */
typedef struct {
  const int32_t *place;
  const uint8_t *weights;
  const int32_t *start;
  uint32_t steps, chunk, pairs, wide;
} work;

KQ_INLINE __m256i weights_at(const uint8_t *weights, int half) {
  return _mm256_load_si256((const __m256i *)(const void *)(weights + 32 * half));
}

KQ_INLINE __m256i start_at(const work *w, int half) {
  return _mm256_load_si256((const __m256i *)(const void *)(w->start + 8 * half));
}

/* The inner loops make sum[pixel][half] of the products of a block's steps. Their sums are variables, not arrays, as compilers
 * keep only those in registers. A loop for 4 pixels and one for a single pixel are made of the same line for one pixel. */
typedef void (*add_steps)(const work *w, const uint8_t *const x[], __m256i sum[][2]);

#define KQ_EACH_4(DO) DO(0) DO(1) DO(2) DO(3)
#define KQ_EACH_1(DO) DO(0)
#define KQ_TAKE(p) __m256i a##p = start_at(w, 0), b##p = start_at(w, 1);
#define KQ_GIVE(p) sum[p][0] = a##p, sum[p][1] = b##p;
#define KQ_POINT(p) const uint8_t *const x##p = x[p];

#define KQ_STEPS(name, EACH, LINE)                                                                \
  static void name(const work *w, const uint8_t *const x[], __m256i sum[][2]) {                   \
    const __m256i ones = _mm256_set1_epi16(1);                                                    \
    const uint8_t *weights = w->weights, *const end = weights + (size_t)w->steps * KQ_STEP_BYTES; \
    const int32_t *next = w->place;                                                               \
    (void)ones;                                                                                   \
    EACH(KQ_POINT) EACH(KQ_TAKE)                                                                  \
    for (; weights != end; weights += KQ_STEP_BYTES) {                                            \
      const ptrdiff_t place = *next++;                                                            \
      const __m256i w0 = weights_at(weights, 0), w1 = weights_at(weights, 1);                     \
      EACH(LINE)                                                                                  \
    }                                                                                             \
    EACH(KQ_GIVE)                                                                                 \
  }

/* 8 bits: products of two pairs in 16 bits, added to those of the step's partner, then their sum in 32. */
#define KQ_LINE_PAIR(p)                                                                        \
  {                                                                                            \
    __m256i u = kq_broadcast(x##p + place);                                                    \
    __m256i c = _mm256_maddubs_epi16(u, w0), d = _mm256_maddubs_epi16(u, w1);                  \
    u = kq_broadcast(x##p + other);                                                            \
    c = _mm256_add_epi16(c, _mm256_maddubs_epi16(u, weights_at(weights, 2)));                  \
    d = _mm256_add_epi16(d, _mm256_maddubs_epi16(u, weights_at(weights, 3)));                  \
    a##p = _mm256_add_epi32(a##p, _mm256_madd_epi16(c, ones));                                 \
    b##p = _mm256_add_epi32(b##p, _mm256_madd_epi16(d, ones));                                 \
  }
#define KQ_LINE_U8(p)                                                                      \
  {                                                                                        \
    const __m256i u = kq_broadcast(x##p + place);                                          \
    a##p = _mm256_add_epi32(a##p, _mm256_madd_epi16(_mm256_maddubs_epi16(u, w0), ones));   \
    b##p = _mm256_add_epi32(b##p, _mm256_madd_epi16(_mm256_maddubs_epi16(u, w1), ones));   \
  }

/* Inputs of even number, and of odd number, as 16-bit values: any weights. */
#define KQ_LINE_EVEN(p)                                                       \
  {                                                                           \
    const __m256i v = _mm256_and_si256(kq_broadcast(x##p + place), low);      \
    a##p = _mm256_add_epi32(a##p, _mm256_madd_epi16(v, w0));                  \
    b##p = _mm256_add_epi32(b##p, _mm256_madd_epi16(v, w1));                  \
  }
#define KQ_LINE_ODD(p)                                                        \
  {                                                                           \
    const __m256i v = _mm256_srli_epi16(kq_broadcast(x##p + place), 8);       \
    a##p = _mm256_add_epi32(a##p, _mm256_madd_epi16(v, w2));                  \
    b##p = _mm256_add_epi32(b##p, _mm256_madd_epi16(v, w3));                  \
  }

/* 16 weights of bytes as 16-bit values. */
KQ_INLINE __m256i widened(const uint8_t *weights) {
  return _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(const void *)weights));
}

#define KQ_STEPS_U8(name, EACH)                                                                   \
  static void name(const work *w, const uint8_t *const x[], __m256i sum[][2]) {                   \
    const __m256i ones = _mm256_set1_epi16(1), low = _mm256_set1_epi16(0xFF);                     \
    const uint8_t *weights = w->weights, *const end = weights + (size_t)w->steps * KQ_STEP_BYTES; \
    const uint8_t *const wide = end - (size_t)w->wide * KQ_STEP_BYTES;                            \
    const uint8_t *const alone = weights + (size_t)w->pairs * 2 * KQ_STEP_BYTES;                  \
    const int32_t *next = w->place;                                                               \
    EACH(KQ_POINT) EACH(KQ_TAKE)                                                                  \
    for (; weights != alone; weights += 2 * KQ_STEP_BYTES) {                                      \
      const ptrdiff_t place = next[0], other = next[1];                                           \
      const __m256i w0 = weights_at(weights, 0), w1 = weights_at(weights, 1);                     \
      next += 2;                                                                                  \
      EACH(KQ_LINE_PAIR)                                                                          \
    }                                                                                             \
    for (; weights != wide; weights += KQ_STEP_BYTES) {                                           \
      const ptrdiff_t place = *next++;                                                            \
      const __m256i w0 = weights_at(weights, 0), w1 = weights_at(weights, 1);                     \
      EACH(KQ_LINE_U8)                                                                            \
    }                                                                                             \
    for (; weights != end; weights += KQ_STEP_BYTES) {                                            \
      const ptrdiff_t place = *next++;                                                            \
      const __m256i w0 = widened(weights), w1 = widened(weights + 32);                            \
      EACH(KQ_LINE_EVEN)                                                                          \
      const __m256i w2 = widened(weights + 16), w3 = widened(weights + 48);                       \
      EACH(KQ_LINE_ODD)                                                                           \
    }                                                                                             \
    EACH(KQ_GIVE)                                                                                 \
  }
KQ_STEPS_U8(add_steps_u8_4, KQ_EACH_4)
KQ_STEPS_U8(add_steps_u8_1, KQ_EACH_1)

#define KQ_LINE_S16(p)                                              \
  {                                                                 \
    const __m256i v = kq_broadcast(x##p + place);                   \
    a##p = _mm256_add_epi32(a##p, _mm256_madd_epi16(v, w0));        \
    b##p = _mm256_add_epi32(b##p, _mm256_madd_epi16(v, w1));        \
  }
KQ_STEPS(add_steps_s16_4, KQ_EACH_4, KQ_LINE_S16)
KQ_STEPS(add_steps_s16_1, KQ_EACH_1, KQ_LINE_S16)

/* Weights of bytes, inputs doubled. */
#define KQ_LINE_DOUBLED(p)                                               \
  {                                                                      \
    const __m256i v = kq_broadcast(x##p + place);                        \
    a##p = _mm256_add_epi32(a##p, _mm256_madd_epi16(v, w0));             \
    b##p = _mm256_add_epi32(b##p, _mm256_madd_epi16(v, w1));             \
    const __m256i u = kq_broadcast(x##p + place + 4);                    \
    a##p = _mm256_add_epi32(a##p, _mm256_madd_epi16(u, w2));             \
    b##p = _mm256_add_epi32(b##p, _mm256_madd_epi16(u, w3));             \
  }
#define KQ_STEPS_DOUBLED(name, EACH, LINE)                                                        \
  static void name(const work *w, const uint8_t *const x[], __m256i sum[][2]) {                   \
    const uint8_t *weights = w->weights, *const end = weights + (size_t)w->steps * KQ_STEP_BYTES; \
    const int32_t *next = w->place;                                                               \
    EACH(KQ_POINT) EACH(KQ_TAKE)                                                                  \
    for (; weights != end; weights += KQ_STEP_BYTES) {                                            \
      const ptrdiff_t place = 2 * (ptrdiff_t)*next++;                                             \
      const __m256i w0 = widened(weights), w1 = widened(weights + 32);                            \
      const __m256i w2 = widened(weights + 16), w3 = widened(weights + 48);                       \
      (void)w1, (void)w3;                                                                         \
      EACH(LINE)                                                                                  \
    }                                                                                             \
    EACH(KQ_GIVE)                                                                                 \
  }
KQ_STEPS_DOUBLED(add_steps_doubled_4, KQ_EACH_4, KQ_LINE_DOUBLED)
KQ_STEPS_DOUBLED(add_steps_doubled_1, KQ_EACH_1, KQ_LINE_DOUBLED)

/* The same of blocks of up to 8 channels. */
#define KQ_LINE_HALF(p)                                                             \
  a##p = _mm256_add_epi32(a##p, _mm256_madd_epi16(kq_broadcast(x##p + place), w0)); \
  a##p = _mm256_add_epi32(a##p, _mm256_madd_epi16(kq_broadcast(x##p + place + 4), w2));
KQ_STEPS_DOUBLED(add_steps_half_4, KQ_EACH_4, KQ_LINE_HALF)

#define KQ_FMA(v, w, sum) \
  _mm256_castps_si256(_mm256_fmadd_ps(_mm256_castsi256_ps(v), _mm256_castsi256_ps(w), _mm256_castsi256_ps(sum)))
#define KQ_LINE_F32(p)                            \
  {                                               \
    const __m256i v = kq_broadcast(x##p + place); \
    a##p = KQ_FMA(v, w0, a##p);                   \
    b##p = KQ_FMA(v, w1, b##p);                   \
  }
KQ_STEPS(add_steps_f32_4, KQ_EACH_4, KQ_LINE_F32)
KQ_STEPS(add_steps_f32_1, KQ_EACH_1, KQ_LINE_F32)

/* 8 bits where the sums of `chunk` steps fit 16 bits: they are widened once per chunk. */
#define KQ_ZERO(p) __m256i a##p = _mm256_setzero_si256(), b##p = _mm256_setzero_si256();
#define KQ_BEGIN(p) sum[p][0] = start_at(w, 0), sum[p][1] = start_at(w, 1);
#define KQ_WIDEN(p)                                                          \
  sum[p][0] = _mm256_add_epi32(sum[p][0], _mm256_madd_epi16(a##p, ones));    \
  sum[p][1] = _mm256_add_epi32(sum[p][1], _mm256_madd_epi16(b##p, ones));
#define KQ_LINE_NARROW(p)                                             \
  {                                                                   \
    const __m256i u = kq_broadcast(x##p + place);                     \
    KQ_ADD_TO(a##p, _mm256_maddubs_epi16(u, w0))                      \
    KQ_ADD_TO(b##p, _mm256_maddubs_epi16(u, w1))                      \
  }
#define KQ_CHUNKS(name, EACH)                                                                     \
  static void name(const work *w, const uint8_t *const x[], __m256i sum[][2]) {                   \
    const __m256i ones = _mm256_set1_epi16(1);                                                    \
    const uint8_t *weights = w->weights;                                                          \
    const int32_t *next = w->place, *const last = next + w->steps;                                \
    EACH(KQ_POINT) EACH(KQ_BEGIN)                                                                 \
    while (next != last) {                                                                        \
      const int32_t *const end = last - next < (ptrdiff_t)w->chunk ? last : next + w->chunk;      \
      EACH(KQ_ZERO)                                                                               \
      for (; next != end; weights += KQ_STEP_BYTES) {                                             \
        const ptrdiff_t place = *next++;                                                          \
        const __m256i w0 = weights_at(weights, 0), w1 = weights_at(weights, 1);                   \
        EACH(KQ_LINE_NARROW)                                                                      \
      }                                                                                           \
      EACH(KQ_WIDEN)                                                                              \
    }                                                                                             \
  }
KQ_CHUNKS(add_chunks_4, KQ_EACH_4)
KQ_CHUNKS(add_chunks_1, KQ_EACH_1)

/* The inner loop for a block, for a tile of 4 pixels or of 1. */
static add_steps inner_loop(const kq_gemm *gemm, const kq_block *block, bool single) {
  if (gemm->doubled && block->channels <= 8) return add_steps_half_4;
  if (gemm->doubled) return single ? add_steps_doubled_1 : add_steps_doubled_4;
  static const add_steps loops[4][2] = {{add_steps_u8_4, add_steps_u8_1},
                                        {add_steps_s16_4, add_steps_s16_1},
                                        {add_steps_f32_4, add_steps_f32_1},
                                        {add_chunks_4, add_chunks_1}};
  return loops[gemm->step_type == KQ_STEP_U8 && block->chunk >= KQ_MIN_CHUNK ? 3 : (int)gemm->step_type][single ? 1 : 0];
}

/* Sums of 64 bits, chunk by chunk. */
static void add_wide(const work *w, uint32_t halves, add_steps add, const uint8_t *const x[], kq_wide wide[TILE][2]) {
  const uint32_t half_steps = w->steps / halves;
  work chunk = *w;
  memset(wide, 0, TILE * sizeof wide[0]);
  for (uint32_t half = 0; half < halves; ++half) {
    for (uint32_t done = 0; done < half_steps; done += w->chunk) {
      __m256i sum[TILE][2];
      chunk.steps = half_steps - done < w->chunk ? half_steps - done : w->chunk;
      chunk.place = w->place + half * half_steps + done;
      chunk.weights = w->weights + (size_t)(half * half_steps + done) * KQ_STEP_BYTES;
      add(&chunk, x, sum);
      for (int p = 0; p < TILE; ++p) {
        kq_widen(&wide[p][0], sum[p][0], half);
        kq_widen(&wide[p][1], sum[p][1], half);
      }
    }
  }
}

/* One block of output channels for the pixels from number `first` on, whose windows begin at `places`. */
static void compute_block(const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint32_t first, uint32_t count,
                          const uint8_t *const places[], uint8_t *output) {
  const kq_block *block = &gemm->block[number];
  const work w = {
      .place = kq_places_of(gemm, block),
      .weights = gemm->weights + (size_t)block->first_step * KQ_STEP_BYTES,
      .start = gemm->start + (size_t)number * KQ_LANES,
      .steps = block->steps,
      .chunk = block->chunk,
      .pairs = block->pairs,
      .wide = block->wide,
  };
  const kq_target target = kq_target_of(op, gemm, number);
  const bool bytes = kq_finishes_bytes(op, gemm);
  const kq_byte_terms terms = kq_byte_terms_of(op, gemm, &target, output);
  const uint32_t x_offset = block->x_offset * (gemm->doubled ? 2 : 1);
  const add_steps add = inner_loop(gemm, block, false), add_single = inner_loop(gemm, block, true);
  for (uint32_t i = 0; i < count; i += TILE) {
    const uint8_t *x[TILE];
    __m256i sum[TILE][2];
    const uint32_t left = count - i;
    for (int p = 0; p < TILE; ++p) x[p] = places[i + (uint32_t)p] + x_offset;
    if (gemm->wide) {
      kq_wide wide[TILE][2];
      add_wide(&w, gemm->halves, add, x, wide);
      kq_finish_wide(op, gemm, &target, first + i, left < TILE ? left : TILE, wide, output);
    } else if (left >= TILE) {
      add(&w, x, sum);
      if (bytes) {
        kq_finish_bytes(&terms, &target, first + i, TILE, sum, output);
      } else {
        kq_finish_tile(op, gemm, &target, first + i, TILE, sum, output);
      }
    } else {
      (left == 1 ? add_single : add)(&w, x, sum);
      kq_finish_tile(op, gemm, &target, first + i, left, sum, output);
    }
  }
}

/* A chunk of pixels by all blocks: the chunk's inputs stay in the first-level cache while block after block passes over them. */
static void compute_chunk(const kq_operator *op, const kq_gemm *gemm, const kq_gemm_chunk *chunk, const uint8_t *input,
                          uint8_t *output) {
  const uint8_t *places[KQ_CHUNK];
  kq_gemm_places(gemm, chunk->pixel, chunk->pixels, TILE, input, places);
  for (uint32_t number = chunk->block; number < chunk->end; ++number) {
    compute_block(op, gemm, number, chunk->pixel, chunk->pixels, places, output);
  }
}

static void run(const kq_operator *op, uint8_t *arena) { kq_run_rounded(op, arena, compute_chunk); }
static void compute_piece(const kq_piece *piece) { kq_compute_piece_rounded(piece, compute_chunk); }

const kq_kernel kq_conv_2d_avx2 = {
    .name = "kq_conv_2d_avx2",
    .kind = KQ_CONV_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_gemm_accepts,
    .packing = &kq_gemm_saturating_packing,
    .scratch_bytes = kq_gemm_doubled_scratch_bytes,
    .run = run,
};

KQ_GEMM_SPLIT(kq_split_conv_2d_avx2, kq_conv_2d_avx2, 1, compute_piece)
