/* From sums to stored outputs: kq_finish_type in x86/kq_gemm.h. */
#include "kq_neon.h"

/* Fewer than 32 bytes, in pieces that need no call. */
static void copy(uint8_t *to, const uint8_t *from, size_t bytes) {
  size_t done = 0;
  if (bytes & 16) memcpy(to, from, 16), done += 16;
  if (bytes & 8) memcpy(to + done, from + done, 8), done += 8;
  if (bytes & 4) memcpy(to + done, from + done, 4), done += 4;
  if (bytes & 2) memcpy(to + done, from + done, 2), done += 2;
  if (bytes & 1) to[done] = from[done];
}

/* 16 stored integers of an activation as 32-bit lanes. */
static kq_neon_sums widened(uint8_t type, const uint8_t *from) {
  int16x8_t low, high;
  kq_neon_sums v;
  if (type == KQ_UFIXED16) {
    const uint16x8_t a = vreinterpretq_u16_u8(vld1q_u8(from)), b = vreinterpretq_u16_u8(vld1q_u8(from + 16));
    v.quarter[0] = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(a)));
    v.quarter[1] = vreinterpretq_s32_u32(vmovl_high_u16(a));
    v.quarter[2] = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(b)));
    v.quarter[3] = vreinterpretq_s32_u32(vmovl_high_u16(b));
    return v;
  }
  if (type == KQ_FIXED16) {
    low = kq_load_words(from);
    high = kq_load_words(from + 16);
  } else if (type == KQ_FIXED8) {
    low = vmovl_s8(vget_low_s8(kq_load_bytes(from)));
    high = vmovl_high_s8(kq_load_bytes(from));
  } else {
    low = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(from)));
    high = vreinterpretq_s16_u16(vmovl_high_u8(vld1q_u8(from)));
  }
  v.quarter[0] = vmovl_s16(vget_low_s16(low));
  v.quarter[1] = vmovl_high_s16(low);
  v.quarter[2] = vmovl_s16(vget_low_s16(high));
  v.quarter[3] = vmovl_high_s16(high);
  return v;
}

/* ---- Addends ---- */

/* Those of a block, of the pixels from some number on. */
typedef struct {
  const uint8_t *first; /* NULL: there are none */
  size_t step;          /* bytes from one pixel to the next */
  uint32_t channels;
  uint8_t type;
} addends;

static addends addends_of(const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint32_t pixel, const uint8_t *output) {
  addends r = {.first = NULL};
  if (gemm->has_addend) {
    const kq_tensor *addend = op->input[KQ_ADDEND];
    const size_t bytes = kq_value_bytes(addend->type), channels = op->output->shape[3];
    r.first = kq_gemm_addend(op, output) + (pixel * channels + gemm->block[number].first_channel) * bytes;
    r.step = channels * bytes;
    r.channels = gemm->block[number].channels;
    r.type = addend->type;
  }
  return r;
}

/* Those of a pixel; what is behind a smaller block's channels is not read. */
static kq_neon_sums addends_at(const addends *r, uint32_t pixel) {
  const uint8_t *from = r->first + pixel * r->step;
  uint8_t values[2 * KQ_LANES];
  if (r->channels < KQ_LANES) {
    memset(values, 0, sizeof values);
    copy(values, from, r->channels * kq_value_bytes(r->type));
    from = values;
  }
  return widened(r->type, from);
}

/* ---- Shifted totals ---- */

/* From sums to totals: kq_finish_type, FINISH_32 without and with a multiplier. */
typedef enum { AS_THEY_ARE, BY_INTEGERS, BY_FLOATS, BY_WIDE_INTEGERS } way;

static way way_of(const kq_gemm *gemm) {
  if (gemm->finish == KQ_FINISH_FMA) return BY_FLOATS;
  if (gemm->finish == KQ_FINISH_64) return BY_WIDE_INTEGERS;
  return gemm->has_factor ? BY_INTEGERS : AS_THEY_ARE;
}

/* What the sums of a block are multiplied by, and what is then added: integers, or the bits of floats. */
typedef struct {
  int32x4_t factor[KQ_QUARTERS], offset[KQ_QUARTERS];
  const int64_t *wide_offset;
} terms;

KQ_INLINE terms terms_of(way how, const kq_gemm *gemm, uint32_t number) {
  terms t = {.wide_offset = gemm->offset + (size_t)number * KQ_LANES};
  for (uint32_t q = 0; q < KQ_QUARTERS; ++q) {
    const uint32_t lane = number * KQ_LANES + 4 * q;
    t.factor[q] = vld1q_s32(gemm->factor + lane);
    if (how == BY_FLOATS) {
      t.offset[q] = vld1q_s32((const int32_t *)(const void *)gemm->offset + lane);
    } else { /* where it is used, it fits 32 bits */
      t.offset[q] = vcombine_s32(vmovn_s64(vld1q_s64(gemm->offset + lane)), vmovn_s64(vld1q_s64(gemm->offset + lane + 2)));
    }
  }
  return t;
}

/* BY_FLOATS: in the rounding mode that kq_neon_run sets. */
KQ_INLINE int32x4_t multiplied(way how, const terms *t, uint32_t q, int32x4_t sum) {
  if (how == AS_THEY_ARE) return sum;
  if (how == BY_INTEGERS) return vmlaq_s32(t->offset[q], sum, t->factor[q]);
  const float32x4_t factor = vreinterpretq_f32_s32(t->factor[q]), offset = vreinterpretq_f32_s32(t->offset[q]);
  return vcvtmq_s32_f32(vfmaq_f32(offset, vcvtq_f32_s32(sum), factor));
}

/* BY_WIDE_INTEGERS: what is shifted fits 32 bits. */
KQ_INLINE int32x4_t shifted_wide(const kq_gemm *gemm, const terms *t, uint32_t q, int32x4_t sum, int32x4_t addend) {
  const int64x2_t shift = vdupq_n_s64(-gemm->shift);
  const int32x4_t power = vdupq_n_s32((int32_t)1 << gemm->addend_places);
  int64x2_t low = vld1q_s64(t->wide_offset + 4 * q), high = vld1q_s64(t->wide_offset + 4 * q + 2);
  low = vmlal_s32(vmlal_s32(low, vget_low_s32(sum), vget_low_s32(t->factor[q])), vget_low_s32(addend), vget_low_s32(power));
  high = vmlal_high_s32(vmlal_high_s32(high, sum, t->factor[q]), addend, power);
  return vcombine_s32(vmovn_s64(vshlq_s64(low, shift)), vmovn_s64(vshlq_s64(high, shift)));
}

/* ---- Stored outputs ---- */

/* Limits of an output, low .. high, which lie in the type's range: in lanes of 16 bits. */
typedef struct {
  int16x8_t low, high;
  uint8_t type;
} limits;

static limits limits_of(const kq_operator *op) {
  const limits l = {
      .low = vdupq_n_s16((int16_t)op->low.fixed), .high = vdupq_n_s16((int16_t)op->high.fixed), .type = op->output->type};
  return l;
}

/* 16 integers of 32 bits as stored values. */
KQ_INLINE void store_16(limits l, const kq_neon_sums *v, uint8_t *to) {
  if (l.type == KQ_UFIXED16) {
    const uint16x8_t low = vreinterpretq_u16_s16(l.low), high = vreinterpretq_u16_s16(l.high);
    for (int half = 0; half < 2; ++half) {
      const uint16x8_t y = vqmovun_high_s32(vqmovun_s32(v->quarter[2 * half]), v->quarter[2 * half + 1]);
      vst1q_u8(to + 16 * half, vreinterpretq_u8_u16(vminq_u16(vmaxq_u16(y, low), high)));
    }
    return;
  }
  int16x8_t y[2];
  for (int half = 0; half < 2; ++half) {
    y[half] = vqmovn_high_s32(vqmovn_s32(v->quarter[2 * half]), v->quarter[2 * half + 1]);
    y[half] = vminq_s16(vmaxq_s16(y[half], l.low), l.high);
  }
  if (l.type == KQ_FIXED16) {
    vst1q_u8(to, vreinterpretq_u8_s16(y[0]));
    vst1q_u8(to + 16, vreinterpretq_u8_s16(y[1]));
  } else { /* limited already: the low bytes */
    vst1q_u8(to, vreinterpretq_u8_s8(vmovn_high_s16(vmovn_s16(y[0]), y[1])));
  }
}

/* Compiled for each way. `to` is where the first pixel's outputs go, and `next` bytes behind that the second one's. */
KQ_INLINE void finish_pixels(way how, const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint32_t count,
                             const addends *r, const kq_neon_sums sums[KQ_TILE], uint8_t *to, size_t next) {
  const terms t = terms_of(how, gemm, number);
  const limits l = limits_of(op);
  const uint32_t channels = gemm->block[number].channels;
  const int32x4_t places = vdupq_n_s32(gemm->addend_places), shift = vdupq_n_s32(-gemm->shift), zero = vdupq_n_s32(0);
  for (uint32_t p = 0; p < count; ++p, to += next) {
    const bool adds = r->first != NULL;
    kq_neon_sums v, addend = {{zero, zero, zero, zero}};
    if (adds) addend = addends_at(r, p);
    for (uint32_t q = 0; q < KQ_QUARTERS; ++q) {
      if (how == BY_WIDE_INTEGERS) {
        v.quarter[q] = shifted_wide(gemm, &t, q, sums[p].quarter[q], addend.quarter[q]);
        continue;
      }
      v.quarter[q] = multiplied(how, &t, q, sums[p].quarter[q]);
      if (adds) v.quarter[q] = vaddq_s32(v.quarter[q], vshlq_s32(addend.quarter[q], places));
      if (adds || how != BY_FLOATS) v.quarter[q] = vshlq_s32(v.quarter[q], shift);
    }
    if (channels == KQ_LANES) {
      store_16(l, &v, to);
    } else {
      uint8_t values[2 * KQ_LANES];
      store_16(l, &v, values);
      copy(to, values, channels * kq_value_bytes(l.type));
    }
  }
}

void kq_neon_finish(const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint32_t pixel, uint32_t count,
                    const kq_neon_sums sums[KQ_TILE], uint8_t *output) {
  const kq_block *block = &gemm->block[number];
  const kq_tensor *y = op->output;
  if (gemm->finish == KQ_FINISH_ANY) {
    for (uint32_t p = 0; p < count; ++p) kq_gemm_finish(op, gemm, block, sums[p].quarter, output, pixel + p);
    return;
  }
  const addends r = addends_of(op, gemm, number, pixel, output);
  const size_t bytes = kq_value_bytes(y->type), next = y->shape[y->rank - 1] * bytes;
  uint8_t *const to = output + pixel * next + block->first_channel * bytes;
  switch (way_of(gemm)) {
    case AS_THEY_ARE: finish_pixels(AS_THEY_ARE, op, gemm, number, count, &r, sums, to, next); break;
    case BY_INTEGERS: finish_pixels(BY_INTEGERS, op, gemm, number, count, &r, sums, to, next); break;
    case BY_FLOATS: finish_pixels(BY_FLOATS, op, gemm, number, count, &r, sums, to, next); break;
    case BY_WIDE_INTEGERS: finish_pixels(BY_WIDE_INTEGERS, op, gemm, number, count, &r, sums, to, next); break;
  }
}
