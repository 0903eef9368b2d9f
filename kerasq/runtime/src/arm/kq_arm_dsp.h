/* Instructions of Armv7E-M and Armv8-M with the DSP extension, and the same in C for every other machine: the kernels of this folder
 * run on a host, under sanitizers, with the same results. */
#ifndef KQ_ARM_DSP_H
#define KQ_ARM_DSP_H

#include "../kq_arithmetic.h"

/* The inner loops have two forms. Assembly, for GNU compilers, unless KQ_NO_ASSEMBLY is defined; the other form is its twin in C. */
#if defined(__arm__) && defined(__ARM_FEATURE_DSP) && defined(__GNUC__) && !defined(KQ_NO_ASSEMBLY)
#define KQ_ARM_ASSEMBLY 1
#define KQ_NAKED __attribute__((naked))
#define KQ_UNUSED __attribute__((unused))
#define KQ_TEXT_OF(tokens) #tokens
#define KQ_TEXT(tokens) KQ_TEXT_OF(tokens)
#endif

/* How often inner loops are unrolled, or whether a case has code of its own: the first for speed, the second for little code. */
#ifdef __OPTIMIZE_SIZE__
#define KQ_UNROLL(fast, small) small
#else
#define KQ_UNROLL(fast, small) fast
#endif

/* A function that is never part of its caller, so that what it keeps on the stack is there only while it runs. */
#if defined(__GNUC__)
#define KQ_APART __attribute__((noinline))
#else
#define KQ_APART
#endif

#if defined(__arm__) && defined(__ARM_FEATURE_DSP)
#include <arm_acle.h>

static inline uint32_t kq_sxtb16(uint32_t a) { return (uint32_t)__sxtb16((int8x4_t)a); }
static inline uint32_t kq_uxtb16(uint32_t a) { return (uint32_t)__uxtb16((uint8x4_t)a); }
static inline int32_t kq_smlad(uint32_t a, uint32_t b, int32_t sum) { return __smlad((int16x2_t)a, (int16x2_t)b, sum); }
static inline uint32_t kq_usat8(int32_t a) { return (uint32_t)__usat(a, 8); }

/* The larger of each pair of unsigned bytes: USUB8, SEL. */
static inline uint32_t kq_larger_bytes(uint32_t a, uint32_t b) {
  __usub8((uint8x4_t)a, (uint8x4_t)b);
  return (uint32_t)__sel((uint8x4_t)a, (uint8x4_t)b);
}

static inline uint32_t kq_smaller_bytes(uint32_t a, uint32_t b) {
  __usub8((uint8x4_t)b, (uint8x4_t)a);
  return (uint32_t)__sel((uint8x4_t)a, (uint8x4_t)b);
}

#else

static inline uint32_t kq_larger_bytes(uint32_t a, uint32_t b) {
  uint32_t larger = 0;
  for (uint32_t mask = 0xFFu; mask != 0; mask <<= 8) larger |= (a & mask) > (b & mask) ? a & mask : b & mask;
  return larger;
}

static inline uint32_t kq_smaller_bytes(uint32_t a, uint32_t b) { return ~kq_larger_bytes(~a, ~b); }

/* Bytes 0 and 2, sign extended, as two halfwords. */
static inline uint32_t kq_sxtb16(uint32_t a) {
  const uint32_t low = ((a & 0xFFu) ^ 0x80u) - 0x80u, high = ((a >> 16 & 0xFFu) ^ 0x80u) - 0x80u;
  return (low & 0xFFFFu) | high << 16;
}

static inline uint32_t kq_uxtb16(uint32_t a) { return a & 0x00FF00FFu; }

static inline int32_t kq_low_half(uint32_t a) { return (int32_t)((a & 0xFFFFu) ^ 0x8000u) - 0x8000; }

static inline int32_t kq_high_half(uint32_t a) { return kq_low_half(a >> 16); }

static inline uint32_t kq_usat8(int32_t a) { return a < 0 ? 0 : a > 255 ? 255 : (uint32_t)a; }

/* sum + a.low b.low + a.high b.high. */
static inline int32_t kq_smlad(uint32_t a, uint32_t b, int32_t sum) {
  return sum + kq_low_half(a) * kq_low_half(b) + kq_high_half(a) * kq_high_half(b);
}

#endif

static inline uint32_t kq_rotated(uint32_t a) { return a >> 8 | a << 24; }

/* Bytes 0 and 2, or 1 and 3, of a word as halfwords. */
static inline uint32_t kq_even_bytes(uint32_t a, bool is_signed) { return is_signed ? kq_sxtb16(a) : kq_uxtb16(a); }
static inline uint32_t kq_odd_bytes(uint32_t a, bool is_signed) { return kq_even_bytes(kq_rotated(a), is_signed); }

/* The low halves, and the high halves, of two words: PKHBT, PKHTB, which compilers don't see. */
static inline uint32_t kq_low_halves(uint32_t a, uint32_t b) {
#ifdef KQ_ARM_ASSEMBLY
  __asm__("pkhbt %0, %0, %1, lsl #16" : "+r"(a) : "r"(b));
  return a;
#else
  return (a & 0xFFFFu) | b << 16;
#endif
}

static inline uint32_t kq_high_halves(uint32_t a, uint32_t b) {
#ifdef KQ_ARM_ASSEMBLY
  __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(a) : "r"(b), "r"(a));
  return a;
#else
  return a >> 16 | (b & 0xFFFF0000u);
#endif
}

/* Any alignment. */
static inline uint32_t kq_load_word(const uint8_t *p) {
  uint32_t word;
  memcpy(&word, p, sizeof word);
  return word;
}

static inline void kq_store_word(uint8_t *p, uint32_t word) { memcpy(p, &word, sizeof word); }

static inline size_t kq_rounded_up(size_t size, size_t to) { return (size + to - 1) / to * to; }

#endif
