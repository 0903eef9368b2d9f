/* KQ_FINISH_FMA rounds downwards: the processor's rounding mode (MXCSR, or FPCR of AArch64) around a kernel, with no exception
 * raised. */
#ifndef KQ_ROUNDING_H
#define KQ_ROUNDING_H

#include "kq_gemm.h"

/* Memory is read and written on this side of them, and so is computed what depends on it. */
#if defined(__aarch64__)
static inline void kq_set_mode(uint32_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode) : "memory"); }

static inline uint32_t kq_mode(void) {
  uint64_t mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode) : : "memory");
  return (uint32_t)mode;
}
#elif defined(__GNUC__)
static inline void kq_set_mode(uint32_t mode) { __asm__ volatile("ldmxcsr %0" : : "m"(mode) : "memory"); }

static inline uint32_t kq_mode(void) {
  uint32_t mode;
  __asm__ volatile("stmxcsr %0" : "=m"(mode));
  return mode;
}
#else
#include <xmmintrin.h>
static inline void kq_set_mode(uint32_t mode) { _mm_setcsr(mode); }
static inline uint32_t kq_mode(void) { return _mm_getcsr(); }
#endif

/* Exceptions masked, rounding towards negative infinity, no flushing to zero. */
#if defined(__aarch64__)
enum { KQ_ROUND_DOWN = 2 << 22 };
#else
enum { KQ_ROUND_DOWN = 0x3f80 };
#endif

/* The rounding mode that the finish takes; returns the one before. And back to that. */
static inline uint32_t kq_round_for(const kq_gemm *gemm) {
  if (gemm->finish != KQ_FINISH_FMA) return 0;
  const uint32_t mode = kq_mode();
  kq_set_mode(KQ_ROUND_DOWN);
  return mode;
}

static inline void kq_round_again(const kq_gemm *gemm, uint32_t mode) {
  if (gemm->finish == KQ_FINISH_FMA) kq_set_mode(mode);
}

/* kq_gemm_each_chunk and kq_gemm_compute_piece in that mode. */
static inline void kq_run_rounded(const kq_operator *op, uint8_t *arena, kq_gemm_compute compute) {
  const uint32_t mode = kq_round_for(op->packed);
  kq_gemm_each_chunk(op, arena, compute);
  kq_round_again(op->packed, mode);
}

static inline void kq_compute_piece_rounded(const kq_piece *piece, kq_gemm_compute compute) {
  const uint32_t mode = kq_round_for(piece->op->packed);
  kq_gemm_compute_piece(piece, compute);
  kq_round_again(piece->op->packed, mode);
}

#endif
