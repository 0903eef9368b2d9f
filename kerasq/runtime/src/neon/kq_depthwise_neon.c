/* Depthwise convolution: see kq_neon.h. Inputs and weights are 16-bit integers; a step has two taps, side by side for each
 * channel. */
#include "kq_neon.h"

/* A tap of 8 channels. */
KQ_INLINE void add_tap(int32x4_t sum[2], int16x8_t x, int16x8_t w) {
  sum[0] = vmlal_s16(sum[0], vget_low_s16(x), vget_low_s16(w));
  sum[1] = vmlal_high_s16(sum[1], x, w);
}

/* Of 8 channels, the first or the last of a block. */
static void add_half(const kq_neon_work *work, const uint8_t *const x[KQ_TILE], uint32_t half, kq_neon_sums sums[KQ_TILE]) {
  const int16_t *weights = (const int16_t *)(const void *)work->weights + half * (KQ_LANES / 2) * 2;
  const size_t first = half * (KQ_LANES / 2) * sizeof(int16_t);
  const uint8_t *const x0 = x[0] + first, *const x1 = x[1] + first, *const x2 = x[2] + first, *const x3 = x[3] + first;
  const int32x4_t low = vld1q_s32(work->start + 8 * half), high = vld1q_s32(work->start + 8 * half + 4);
  int32x4_t a[2] = {low, high}, b[2] = {low, high}, c[2] = {low, high}, d[2] = {low, high};
  const int32_t *place = work->place, *const end = place + 2 * (size_t)work->steps;
  for (; place != end; place += 2, weights += KQ_STEP_BYTES / 2) {
    const int16x8x2_t w = vld2q_s16(weights);
    for (int tap = 0; tap < 2; ++tap) {
      const ptrdiff_t at = place[tap];
      add_tap(a, kq_load_words(x0 + at), w.val[tap]);
      add_tap(b, kq_load_words(x1 + at), w.val[tap]);
      add_tap(c, kq_load_words(x2 + at), w.val[tap]);
      add_tap(d, kq_load_words(x3 + at), w.val[tap]);
    }
  }
  for (uint32_t q = 0; q < 2; ++q) {
    sums[0].quarter[2 * half + q] = a[q];
    sums[1].quarter[2 * half + q] = b[q];
    sums[2].quarter[2 * half + q] = c[q];
    sums[3].quarter[2 * half + q] = d[q];
  }
}

static void add(const kq_neon_work *work, const uint8_t *const x[KQ_TILE], kq_neon_sums sums[KQ_TILE]) {
  add_half(work, x, 0, sums);
  if (!work->narrow) add_half(work, x, 1, sums);
}

KQ_NEON_KERNEL(kq_depthwise_conv_2d_neon, KQ_CONV_2D, kq_depthwise_accepts, &kq_gemm_packing, add, NULL)
KQ_NEON_SPLIT(kq_split_depthwise_conv_2d_neon, kq_depthwise_conv_2d_neon, 8)
