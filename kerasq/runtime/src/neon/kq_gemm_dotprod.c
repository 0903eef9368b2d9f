/* Convolution and Dense of bytes where the processor has SDOT: see kq_neon.h. */
#include "kq_neon.h"

/* The sums are variables, not arrays, as compilers keep only those in registers: of pixel p a, b, c and d. */
#define KQ_EACH_4(DO) DO(0) DO(1) DO(2) DO(3)
#define KQ_EACH_1(DO) DO(0)
#define KQ_POINT(p) const uint8_t *const x##p = x[p];
#define KQ_START(i) vld1q_s32(work->start + 4 * (i))
#define KQ_WEIGHTS(i) const int8x16_t w##i = kq_load_bytes(weights + 16 * (i));

/* A step's four inputs of a pixel, and those of four steps that lie side by side. */
#define KQ_ONE(p) const int8x16_t u##p = kq_broadcast(x##p + place);
#define KQ_FOUR(p) const int8x16_t u##p = kq_load_bytes(x##p + place);

/* Step number i of these, by all 16 channels or by the first 8 of them. */
#define KQ_TAKE_16(p) int32x4_t a##p = KQ_START(0), b##p = KQ_START(1), c##p = KQ_START(2), d##p = KQ_START(3);
#define KQ_LINE_16(p, i)                           \
  a##p = vdotq_laneq_s32(a##p, w0, u##p, i);       \
  b##p = vdotq_laneq_s32(b##p, w1, u##p, i);       \
  c##p = vdotq_laneq_s32(c##p, w2, u##p, i);       \
  d##p = vdotq_laneq_s32(d##p, w3, u##p, i);
#define KQ_GIVE_16(p) sums[p] = (kq_neon_sums){{a##p, b##p, c##p, d##p}};
#define KQ_TAKE_8(p) int32x4_t a##p = KQ_START(0), b##p = KQ_START(1);
#define KQ_LINE_8(p, i)                            \
  a##p = vdotq_laneq_s32(a##p, w0, u##p, i);       \
  b##p = vdotq_laneq_s32(b##p, w1, u##p, i);
#define KQ_GIVE_8(p) sums[p] = (kq_neon_sums){{a##p, b##p, vdupq_n_s32(0), vdupq_n_s32(0)}};

/* Step after step: GCC takes pixel after pixel else, and has no registers for the weights of four steps. */
#define KQ_HOLD(p) __asm__ volatile("" : "+w"(a##p), "+w"(b##p) : : "memory");

#define KQ_STEP_4(LINE, i) LINE(0, i) LINE(1, i) LINE(2, i) LINE(3, i)
#define KQ_STEP_1(LINE, i) LINE(0, i)
#define KQ_STEP(PIXELS, LANES, i)                                \
  {                                                              \
    KQ_WEIGHTS(0) KQ_WEIGHTS(1) KQ_WEIGHTS(2) KQ_WEIGHTS(3)      \
    (void)w2, (void)w3;                                          \
    KQ_STEP_##PIXELS(KQ_LINE_##LANES, i)                         \
    weights += KQ_STEP_BYTES;                                    \
  }

static bool are_side_by_side(const int32_t place[4]) {
  return place[1] - place[0] == 4 && place[2] - place[1] == 4 && place[3] - place[2] == 4;
}

#define KQ_STEPS(name, PIXELS, LANES)                                                                            \
  static void name(const kq_neon_work *work, const uint8_t *const x[KQ_TILE], kq_neon_sums sums[KQ_TILE]) {      \
    const uint8_t *weights = work->weights;                                                                      \
    const int32_t *next = work->place, *const end = next + work->steps;                                          \
    KQ_EACH_##PIXELS(KQ_POINT) KQ_EACH_##PIXELS(KQ_TAKE_##LANES)                                                 \
    while (next != end) {                                                                                        \
      const ptrdiff_t place = *next;                                                                             \
      if (end - next >= 4 && are_side_by_side(next)) {                                                           \
        KQ_EACH_##PIXELS(KQ_FOUR)                                                                                \
        KQ_STEP(PIXELS, LANES, 0) KQ_EACH_##PIXELS(KQ_HOLD)                                                      \
        KQ_STEP(PIXELS, LANES, 1) KQ_EACH_##PIXELS(KQ_HOLD)                                                      \
        KQ_STEP(PIXELS, LANES, 2) KQ_EACH_##PIXELS(KQ_HOLD)                                                      \
        KQ_STEP(PIXELS, LANES, 3)                                                                                \
        next += 4;                                                                                               \
      } else {                                                                                                   \
        KQ_EACH_##PIXELS(KQ_ONE)                                                                                 \
        KQ_STEP(PIXELS, LANES, 0)                                                                                \
        ++next;                                                                                                  \
      }                                                                                                          \
    }                                                                                                            \
    KQ_EACH_##PIXELS(KQ_GIVE_##LANES)                                                                            \
  }
KQ_STEPS(add_4x16, 4, 16)
KQ_STEPS(add_4x8, 4, 8)
KQ_STEPS(add_1x16, 1, 16)

static void add(const kq_neon_work *work, const uint8_t *const x[KQ_TILE], kq_neon_sums sums[KQ_TILE]) {
  (work->single ? add_1x16 : work->narrow ? add_4x8 : add_4x16)(work, x, sums);
}

KQ_NEON_KERNEL(kq_conv_2d_dotprod, KQ_CONV_2D, kq_gemm_accepts, &kq_gemm_packing, add, NULL)
KQ_NEON_KERNEL(kq_dense_dotprod, KQ_DENSE, kq_gemm_accepts, &kq_gemm_packing, add, kq_neon_run_several)
KQ_NEON_SPLIT(kq_split_conv_2d_dotprod, kq_conv_2d_dotprod, 1)
