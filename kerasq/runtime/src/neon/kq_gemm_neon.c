/* Convolution and Dense of bytes and of 16-bit words: see kq_neon.h. */
#include "kq_neon.h"

/* ---- Bytes ---- */

enum { LARGEST_INPUT = 128, TOGETHER = 2 }; /* magnitude; pixels that are computed together, for 8 channels */

/* Products of some steps in 16 bits: two vectors for each 4 channels, two channels in each, of which every other sum is a half. */
typedef struct {
  int16x8_t part[4];
} products;

KQ_INLINE products multiplied(const uint8_t *x, int8x16_t w0, int8x16_t w1) {
  const int8x16_t u = kq_broadcast(x);
  const products first = {{
      vmull_s8(vget_low_s8(u), vget_low_s8(w0)),
      vmull_high_s8(u, w0),
      vmull_s8(vget_low_s8(u), vget_low_s8(w1)),
      vmull_high_s8(u, w1),
  }};
  return first;
}

KQ_INLINE void multiply_more(products *sum, const uint8_t *x, int8x16_t w0, int8x16_t w1) {
  const int8x16_t u = kq_broadcast(x);
  sum->part[0] = vmlal_s8(sum->part[0], vget_low_s8(u), vget_low_s8(w0));
  sum->part[1] = vmlal_high_s8(sum->part[1], u, w0);
  sum->part[2] = vmlal_s8(sum->part[2], vget_low_s8(u), vget_low_s8(w1));
  sum->part[3] = vmlal_high_s8(sum->part[3], u, w1);
}

/* Of 8 channels, the first or the last of a block. */
static void add_half(const kq_neon_work *work, const uint8_t *const x[TOGETHER], uint32_t half, kq_neon_sums sums[TOGETHER]) {
  const uint8_t *weights = work->weights + half * (KQ_STEP_BYTES / 2);
  const int32_t *next = work->place, *const last = next + work->steps;
  int32x4_t sum[TOGETHER][4];
  for (int i = 0; i < 4; ++i) sum[0][i] = sum[1][i] = vdupq_n_s32(0);
  while (next != last) {
    const int32_t *const end = last - next < (ptrdiff_t)work->chunk ? last : next + work->chunk;
    int8x16_t w0 = kq_load_bytes(weights), w1 = kq_load_bytes(weights + 16);
    products a = multiplied(x[0] + *next, w0, w1), b = multiplied(x[1] + *next, w0, w1);
    weights += KQ_STEP_BYTES;
    for (++next; next != end; ++next, weights += KQ_STEP_BYTES) {
      w0 = kq_load_bytes(weights), w1 = kq_load_bytes(weights + 16);
      multiply_more(&a, x[0] + *next, w0, w1);
      multiply_more(&b, x[1] + *next, w0, w1);
    }
    for (int i = 0; i < 4; ++i) {
      sum[0][i] = vpadalq_s16(sum[0][i], a.part[i]);
      sum[1][i] = vpadalq_s16(sum[1][i], b.part[i]);
    }
  }
  for (uint32_t q = 0; q < 2; ++q) {
    const int32x4_t start = vld1q_s32(work->start + 8 * half + 4 * q);
    for (int p = 0; p < TOGETHER; ++p) {
      sums[p].quarter[2 * half + q] = vaddq_s32(start, vpaddq_s32(sum[p][2 * q], sum[p][2 * q + 1]));
    }
  }
}

static void add_bytes(const kq_neon_work *work, const uint8_t *const x[KQ_TILE], kq_neon_sums sums[KQ_TILE]) {
  for (uint32_t p = 0; p < (work->single ? 1 : KQ_TILE); p += TOGETHER) {
    add_half(work, x + p, 0, sums + p);
    if (!work->narrow) add_half(work, x + p, 1, sums + p);
  }
}

/* Blocks with the chunks that their weights allow. */
static void pack_steps(const kq_operator *op, const void *constants, void *memory) {
  kq_gemm_steps.pack(op, constants, memory);
  if (kq_step_type_of(op) != KQ_STEP_U8) return;
  const kq_steps *steps = memory;
  for (uint32_t number = 0; number < steps->blocks; ++number) {
    kq_block *block = (kq_block *)(uintptr_t)&steps->block[number];
    const uint8_t *weights = steps->weights + (size_t)block->first_step * KQ_STEP_BYTES;
    uint32_t largest = 1;
    for (size_t i = 0; i < (size_t)block->steps * KQ_STEP_BYTES; ++i) {
      const uint32_t magnitude = kq_magnitude(kq_load_s8(weights + i));
      if (magnitude > largest) largest = magnitude;
    }
    block->chunk = (uint16_t)(INT16_MAX / (LARGEST_INPUT * largest));
  }
}

/* ---- Words ---- */

#define KQ_EACH_4(DO) DO(0) DO(1) DO(2) DO(3)
#define KQ_EACH_1(DO) DO(0)
#define KQ_START(i) vld1q_s32(work->start + 4 * (i))
#define KQ_POINT(p) const uint8_t *const x##p = x[p];
#define KQ_TAKE(p) int32x4_t a##p = KQ_START(0), b##p = KQ_START(1), c##p = KQ_START(2), d##p = KQ_START(3);
#define KQ_ADD_ONE(p, i)                                                   \
  a##p = vmlal_laneq_s16(a##p, vget_low_s16(low.val[i]), u, i);             \
  b##p = vmlal_high_laneq_s16(b##p, low.val[i], u, i);                      \
  c##p = vmlal_laneq_s16(c##p, vget_low_s16(high.val[i]), u, i);            \
  d##p = vmlal_high_laneq_s16(d##p, high.val[i], u, i);
#define KQ_LINE(p)                                                           \
  {                                                                          \
    const int16x8_t u = vreinterpretq_s16_s8(kq_broadcast(x##p + place));     \
    KQ_ADD_ONE(p, 0)                                                         \
    KQ_ADD_ONE(p, 1)                                                         \
  }
#define KQ_GIVE(p) \
  sums[p].quarter[0] = a##p, sums[p].quarter[1] = b##p, sums[p].quarter[2] = c##p, sums[p].quarter[3] = d##p;

#define KQ_WORDS(name, EACH)                                                                                \
  static void name(const kq_neon_work *work, const uint8_t *const x[KQ_TILE], kq_neon_sums sums[KQ_TILE]) { \
    const int16_t *weights = (const int16_t *)(const void *)work->weights;                                  \
    const int32_t *next = work->place, *const end = next + work->steps;                                     \
    EACH(KQ_POINT) EACH(KQ_TAKE)                                                                            \
    for (; next != end; weights += KQ_STEP_BYTES / 2) {                                                     \
      const ptrdiff_t place = *next++;                                                                      \
      const int16x8x2_t low = vld2q_s16(weights), high = vld2q_s16(weights + 16); /* by the input's number */ \
      EACH(KQ_LINE)                                                                                         \
    }                                                                                                       \
    EACH(KQ_GIVE)                                                                                           \
  }
KQ_WORDS(add_words_4, KQ_EACH_4)
KQ_WORDS(add_words_1, KQ_EACH_1)

void kq_neon_add_words(const kq_neon_work *work, const uint8_t *const x[KQ_TILE], kq_neon_sums sums[KQ_TILE]) {
  (work->single ? add_words_1 : add_words_4)(work, x, sums);
}

/* ---- The kernels ---- */

static size_t steps_bytes(const kq_operator *op) { return kq_gemm_steps.bytes(op); }
static bool steps_serve(const kq_operator *owner, const kq_operator *op) { return kq_gemm_steps.serves(owner, op); }
static const kq_part steps_part = {.bytes = steps_bytes, .serves = steps_serve, .pack = pack_steps};
static const kq_packing packing = {
    .reserve = kq_reserve, .fill = kq_fill, .constants = &steps_part, .finish = &kq_gemm_finish_part};

KQ_NEON_KERNEL(kq_conv_2d_neon, KQ_CONV_2D, kq_gemm_accepts, &packing, add_bytes, NULL)
KQ_NEON_KERNEL(kq_dense_neon, KQ_DENSE, kq_gemm_accepts, &packing, add_bytes, kq_neon_run_several)
KQ_NEON_SPLIT(kq_split_conv_2d_neon, kq_conv_2d_neon, 1)
