/* Convolution and Dense for AVX2: tiles of 4 output pixels by 16 output channels. See kq_gemm.h. */
#include "kq_simd.h"

enum { TILE = 4, CHUNK_TILES = 32, MIN_CHUNK = 4 };

/* 32 bits of input to all lanes. */
KQ_INLINE __m256i broadcast(const uint8_t *x) {
  int32_t bits;
  memcpy(&bits, x, sizeof bits);
  return _mm256_set1_epi32(bits);
}

/* One block's steps, and the values that its sums start from. */
typedef struct {
  const int32_t *place;
  const uint8_t *weights;
  const int32_t *start;
  uint32_t steps, chunk;
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

/* 8 bits: products of two pairs in 16 bits, then their sum in 32. */
#define KQ_LINE_U8(p)                                                                                 \
  {                                                                                                   \
    const __m256i u = broadcast(x##p + place);                                                        \
    a##p = _mm256_add_epi32(a##p, _mm256_madd_epi16(_mm256_maddubs_epi16(u, w0), ones));              \
    b##p = _mm256_add_epi32(b##p, _mm256_madd_epi16(_mm256_maddubs_epi16(u, w1), ones));              \
  }
KQ_STEPS(add_steps_u8_4, KQ_EACH_4, KQ_LINE_U8)
KQ_STEPS(add_steps_u8_1, KQ_EACH_1, KQ_LINE_U8)

#define KQ_LINE_S16(p)                                              \
  {                                                                 \
    const __m256i v = broadcast(x##p + place);                      \
    a##p = _mm256_add_epi32(a##p, _mm256_madd_epi16(v, w0));        \
    b##p = _mm256_add_epi32(b##p, _mm256_madd_epi16(v, w1));        \
  }
KQ_STEPS(add_steps_s16_4, KQ_EACH_4, KQ_LINE_S16)
KQ_STEPS(add_steps_s16_1, KQ_EACH_1, KQ_LINE_S16)

#define KQ_FMA(v, w, sum) \
  _mm256_castps_si256(_mm256_fmadd_ps(_mm256_castsi256_ps(v), _mm256_castsi256_ps(w), _mm256_castsi256_ps(sum)))
#define KQ_LINE_F32(p)                         \
  {                                            \
    const __m256i v = broadcast(x##p + place); \
    a##p = KQ_FMA(v, w0, a##p);                \
    b##p = KQ_FMA(v, w1, b##p);                \
  }
KQ_STEPS(add_steps_f32_4, KQ_EACH_4, KQ_LINE_F32)
KQ_STEPS(add_steps_f32_1, KQ_EACH_1, KQ_LINE_F32)

/* 8 bits where the sums of `chunk` steps fit 16 bits: they are widened once per chunk. */
#define KQ_LINE_NARROW(p)                                             \
  {                                                                   \
    const __m256i u = broadcast(x##p + place);                        \
    a##p = _mm256_add_epi16(a##p, _mm256_maddubs_epi16(u, w0));       \
    b##p = _mm256_add_epi16(b##p, _mm256_maddubs_epi16(u, w1));       \
  }
KQ_STEPS(add_narrow_4, KQ_EACH_4, KQ_LINE_NARROW)
KQ_STEPS(add_narrow_1, KQ_EACH_1, KQ_LINE_NARROW)

KQ_INLINE void add_chunks(const work *w, const uint8_t *const x[], __m256i sum[][2], int pixels, add_steps add_narrow) {
  static const int32_t zeros[KQ_LANES] __attribute__((aligned(32))) = {0};
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i narrow[TILE][2];
  for (int p = 0; p < pixels; ++p) {
    sum[p][0] = start_at(w, 0);
    sum[p][1] = start_at(w, 1);
  }
  for (uint32_t begin = 0; begin < w->steps; begin += w->chunk) {
    const uint32_t left = w->steps - begin;
    const work part = {w->place + begin, w->weights + (size_t)begin * KQ_STEP_BYTES, zeros, left < w->chunk ? left : w->chunk, 0};
    add_narrow(&part, x, narrow);
    for (int p = 0; p < pixels; ++p) {
      sum[p][0] = _mm256_add_epi32(sum[p][0], _mm256_madd_epi16(narrow[p][0], ones));
      sum[p][1] = _mm256_add_epi32(sum[p][1], _mm256_madd_epi16(narrow[p][1], ones));
    }
  }
}
static void add_chunks_4(const work *w, const uint8_t *const x[], __m256i sum[][2]) { add_chunks(w, x, sum, 4, add_narrow_4); }
static void add_chunks_1(const work *w, const uint8_t *const x[], __m256i sum[][2]) { add_chunks(w, x, sum, 1, add_narrow_1); }

/* The inner loop for a block, for a tile of 4 pixels or of 1. */
static add_steps inner_loop(const kq_gemm *gemm, const kq_block *block, bool single) {
  static const add_steps loops[4][2] = {{add_steps_u8_4, add_steps_u8_1},
                                        {add_steps_s16_4, add_steps_s16_1},
                                        {add_steps_f32_4, add_steps_f32_1},
                                        {add_chunks_4, add_chunks_1}};
  return loops[gemm->step_type == KQ_STEP_U8 && block->chunk >= MIN_CHUNK ? 3 : (int)gemm->step_type][single ? 1 : 0];
}

/* One block of output channels for the pixels from number `first` on, whose windows begin at `places`. */
static void compute_block(const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint32_t first, uint32_t count,
                          const uint8_t *const places[], uint8_t *output) {
  const kq_block *block = &gemm->block[number];
  const work w = {gemm->place + block->first_step, gemm->weights + (size_t)block->first_step * KQ_STEP_BYTES,
                  gemm->start + (size_t)number * KQ_LANES, block->steps, block->chunk};
  const kq_target target = kq_target_of(op, gemm, number);
  const add_steps add = inner_loop(gemm, block, false), add_single = inner_loop(gemm, block, true);
  for (uint32_t i = 0; i < count; i += TILE) {
    const uint8_t *x[TILE];
    __m256i sum[TILE][2];
    const uint32_t left = count - i;
    for (int p = 0; p < TILE; ++p) x[p] = places[i + (uint32_t)p] + block->x_offset;
    if (left >= TILE) {
      add(&w, x, sum);
      kq_finish_tile(op, gemm, &target, first + i, TILE, sum, output);
    } else {
      (left == 1 ? add_single : add)(&w, x, sum);
      kq_finish_tile(op, gemm, &target, first + i, left, sum, output);
    }
  }
}

/* A chunk of pixels by all blocks: the chunk's inputs stay in the first-level cache while block after block passes over them. */
static void compute_chunk(const kq_operator *op, const kq_gemm *gemm, uint32_t first, uint32_t count, const uint8_t *input,
                          uint8_t *output) {
  const uint8_t *places[TILE * CHUNK_TILES];
  kq_gemm_places(gemm, first, count, TILE, input, places);
  for (uint32_t number = 0; number < gemm->blocks; ++number) compute_block(op, gemm, number, first, count, places, output);
}

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_gemm *gemm = op->packed;
  const uint8_t *input = kq_gemm_input(op, gemm, arena);
  uint8_t *output = kq_output_data(op, arena);
  for (uint32_t first = 0; first < gemm->pixels; first += TILE * CHUNK_TILES) {
    const uint32_t left = gemm->pixels - first;
    compute_chunk(op, gemm, first, left < TILE * CHUNK_TILES ? left : TILE * CHUNK_TILES, input, output);
  }
}

static size_t packed_bytes(const kq_operator *op) { return kq_gemm_bytes(op, true); }
static void pack(const kq_operator *op, void *memory) { kq_gemm_pack(op, true, memory); }

const kq_kernel kq_conv_2d_avx2 = {"kq_conv_2d_avx2", KQ_CONV_2D, KQ_ANY, KQ_ANY, KQ_ANY_BITS, kq_gemm_accepts,
                                   packed_bytes, pack, kq_gemm_scratch_bytes, run, NULL};
const kq_kernel kq_dense_avx2 = {"kq_dense_avx2", KQ_DENSE, KQ_ANY, KQ_ANY, KQ_ANY_BITS, kq_gemm_accepts,
                                 packed_bytes, pack, kq_gemm_scratch_bytes, run, NULL};
