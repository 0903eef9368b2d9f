/* From sums to stored outputs: kq_finish_type in packed/kq_gemm.h. */
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
KQ_INLINE kq_neon_sums widened(uint8_t type, const uint8_t *from) {
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

/* Of a block, of all pixels of the output; what is behind a smaller block's channels is not read. */
static kq_neon_addends addends_of(const kq_operator *op, const kq_gemm *gemm, const kq_block *block, const uint8_t *output) {
  kq_neon_addends r = {.first = NULL};
  if (gemm->has_addend) {
    const kq_tensor *addend = op->input[KQ_ADDEND];
    const size_t bytes = kq_value_bytes(addend->type);
    r.first = kq_gemm_addend(op, output) + block->first_channel * bytes;
    r.next = op->output->shape[3] * bytes;
    r.type = addend->type;
  }
  return r;
}

KQ_INLINE kq_neon_sums addends_at(const kq_neon_addends *r, uint32_t channels, uint32_t pixel) {
  const uint8_t *from = r->first + pixel * r->next;
  uint8_t values[2 * KQ_LANES];
  if (channels < KQ_LANES) {
    memset(values, 0, sizeof values);
    copy(values, from, channels * kq_value_bytes(r->type));
    from = values;
  }
  return widened(r->type, from);
}

/* ---- Shifted totals ---- */

static kq_neon_way way_of(const kq_gemm *gemm) {
  if (gemm->finish == KQ_FINISH_ANY) return KQ_NEON_ANY;
  if (gemm->finish == KQ_FINISH_FMA) return KQ_NEON_FLOATS;
  if (gemm->finish == KQ_FINISH_64) return KQ_NEON_WIDE;
  return gemm->has_factor ? KQ_NEON_INTEGERS : KQ_NEON_SHIFTED;
}

static void set_terms(kq_neon_finish *finish, const kq_gemm *gemm, uint32_t number) {
  finish->wide_offset = gemm->offset + (size_t)number * KQ_LANES;
  for (uint32_t q = 0; q < KQ_QUARTERS; ++q) {
    const uint32_t lane = number * KQ_LANES + 4 * q;
    finish->factor[q] = vld1q_s32(gemm->factor + lane);
    if (finish->how == KQ_NEON_FLOATS) {
      finish->offset[q] = vld1q_s32((const int32_t *)(const void *)gemm->offset + lane);
    } else { /* where it is used, it fits 32 bits */
      finish->offset[q] = vcombine_s32(vmovn_s64(vld1q_s64(gemm->offset + lane)), vmovn_s64(vld1q_s64(gemm->offset + lane + 2)));
    }
  }
}

/* KQ_NEON_FLOATS: in the rounding mode that kq_neon_run sets. */
KQ_INLINE int32x4_t multiplied(kq_neon_way how, const kq_neon_finish *t, uint32_t q, int32x4_t sum) {
  if (how == KQ_NEON_SHIFTED) return sum;
  if (how == KQ_NEON_INTEGERS) return vmlaq_s32(t->offset[q], sum, t->factor[q]);
  const float32x4_t factor = vreinterpretq_f32_s32(t->factor[q]), offset = vreinterpretq_f32_s32(t->offset[q]);
  return vcvtmq_s32_f32(vfmaq_f32(offset, vcvtq_f32_s32(sum), factor));
}

/* KQ_NEON_WIDE: what is shifted fits 32 bits. */
KQ_INLINE int32x4_t shifted_wide(const kq_neon_finish *t, uint32_t q, int32x4_t sum, int32x4_t addend) {
  const int64x2_t shift = vdupq_n_s64(-t->gemm->shift);
  const int32x4_t power = vdupq_n_s32((int32_t)1 << t->gemm->addend_places);
  int64x2_t low = vld1q_s64(t->wide_offset + 4 * q), high = vld1q_s64(t->wide_offset + 4 * q + 2);
  low = vmlal_s32(vmlal_s32(low, vget_low_s32(sum), vget_low_s32(t->factor[q])), vget_low_s32(addend), vget_low_s32(power));
  high = vmlal_high_s32(vmlal_high_s32(high, sum, t->factor[q]), addend, power);
  return vcombine_s32(vmovn_s64(vshlq_s64(low, shift)), vmovn_s64(vshlq_s64(high, shift)));
}

/* ---- Stored outputs ---- */

/* 16 integers of 32 bits as stored values. */
KQ_INLINE void store_16(const kq_neon_finish *finish, const kq_neon_sums *v, uint8_t *to) {
  const int16x8_t least = finish->low, most = finish->high;
  if (finish->type == KQ_UFIXED16) {
    const uint16x8_t low = vreinterpretq_u16_s16(least), high = vreinterpretq_u16_s16(most);
    for (int half = 0; half < 2; ++half) {
      const uint16x8_t y = vqmovun_high_s32(vqmovun_s32(v->quarter[2 * half]), v->quarter[2 * half + 1]);
      vst1q_u8(to + 16 * half, vreinterpretq_u8_u16(vminq_u16(vmaxq_u16(y, low), high)));
    }
    return;
  }
  int16x8_t y[2];
  for (int half = 0; half < 2; ++half) {
    y[half] = vqmovn_high_s32(vqmovn_s32(v->quarter[2 * half]), v->quarter[2 * half + 1]);
    y[half] = vminq_s16(vmaxq_s16(y[half], least), most);
  }
  if (finish->type == KQ_FIXED16) {
    vst1q_u8(to, vreinterpretq_u8_s16(y[0]));
    vst1q_u8(to + 16, vreinterpretq_u8_s16(y[1]));
  } else { /* limited already: the low bytes */
    vst1q_u8(to, vreinterpretq_u8_s8(vmovn_high_s16(vmovn_s16(y[0]), y[1])));
  }
}

/* Compiled for each way. */
KQ_INLINE void finish_pixels(kq_neon_way how, const kq_neon_finish *finish, uint32_t pixel, uint32_t count,
                             const kq_neon_sums sums[KQ_TILE]) {
  const kq_neon_finish t = *finish; /* no output lies over it */
  const int32x4_t places = vdupq_n_s32(t.gemm->addend_places), shift = vdupq_n_s32(-t.gemm->shift), zero = vdupq_n_s32(0);
  const bool adds = t.addends.first != NULL;
  uint8_t *to = t.first + pixel * t.next;
  for (uint32_t p = 0; p < count; ++p, to += t.next) {
    kq_neon_sums v, addend = {{zero, zero, zero, zero}};
    if (adds) addend = addends_at(&t.addends, t.channels, pixel + p);
    for (uint32_t q = 0; q < KQ_QUARTERS; ++q) {
      if (how == KQ_NEON_WIDE) {
        v.quarter[q] = shifted_wide(&t, q, sums[p].quarter[q], addend.quarter[q]);
        continue;
      }
      v.quarter[q] = multiplied(how, &t, q, sums[p].quarter[q]);
      if (adds) v.quarter[q] = vaddq_s32(v.quarter[q], vshlq_s32(addend.quarter[q], places));
      if (adds || how != KQ_NEON_FLOATS) v.quarter[q] = vshlq_s32(v.quarter[q], shift);
    }
    if (t.channels == KQ_LANES) {
      store_16(&t, &v, to);
    } else {
      uint8_t values[2 * KQ_LANES];
      store_16(&t, &v, values);
      copy(to, values, t.channels * kq_value_bytes(t.type));
    }
  }
}

void kq_neon_set_finish(kq_neon_finish *finish, const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint8_t *output) {
  const kq_block *block = &gemm->block[number];
  const kq_tensor *y = op->output;
  const size_t bytes = kq_value_bytes(y->type);
  finish->op = op;
  finish->gemm = gemm;
  finish->block = block;
  finish->how = way_of(gemm);
  finish->addends = addends_of(op, gemm, block, output);
  finish->output = output;
  finish->first = output + block->first_channel * bytes;
  finish->next = y->shape[y->rank - 1] * bytes;
  finish->channels = block->channels;
  finish->type = y->type;
  finish->low = vdupq_n_s16((int16_t)op->low.fixed);
  finish->high = vdupq_n_s16((int16_t)op->high.fixed);
  set_terms(finish, gemm, number);
}

void kq_neon_put(const kq_neon_finish *finish, uint32_t pixel, uint32_t count, const kq_neon_sums sums[KQ_TILE]) {
  switch (finish->how) {
    case KQ_NEON_SHIFTED: finish_pixels(KQ_NEON_SHIFTED, finish, pixel, count, sums); break;
    case KQ_NEON_INTEGERS: finish_pixels(KQ_NEON_INTEGERS, finish, pixel, count, sums); break;
    case KQ_NEON_FLOATS: finish_pixels(KQ_NEON_FLOATS, finish, pixel, count, sums); break;
    case KQ_NEON_WIDE: finish_pixels(KQ_NEON_WIDE, finish, pixel, count, sums); break;
    case KQ_NEON_ANY:
      for (uint32_t p = 0; p < count; ++p) {
        kq_gemm_finish(finish->op, finish->gemm, finish->block, sums[p].quarter, finish->output, pixel + p);
      }
  }
}
