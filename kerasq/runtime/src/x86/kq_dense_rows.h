/* DENSE on x86-64: a matrix-vector product that reads every weight once, in the order in which it lies.
 *
 * A *row* is 64 bytes: for one step, 4 bytes of input, the weights of 16 output channels (a block), as in kq_gemm.h. Blocks are
 * computed together, up to KQ_MOST_TOGETHER of them (fewer for AVX2), so that the sums of several fill the registers and
 * each broadcast of the input serves them all: the rows of a step lie side by side, then come those of the next step. Where fewer
 * blocks are left, so many steps are taken at once that as many sums are in registers: no sum waits for the one before.
 *
 * On AVX2 vpmaddubsw saturates; inputs are split in halves of 4 bits instead of weights in two parts, so that each weight is there
 * once: x = l + 16 h, and sums of at least 8 products of a half, of two weights each, fit 16 bits, 8 * 15 * 256 < 2^15. Where
 * the largest of the inputs at hand is so small that their own products do, as it often is behind a ReLU, they are not split.
 *
 * Sums of 64 bits (KQ_FINISH_WIDE): inputs and weights of 16 bits, w = l + 256 h with 0 <= l < 256, taken apart as they are read.
 * The sums of KQ_HALF_CHUNK steps fit 32 bits, 127 * 2 * 255 * 32768 < 2^31, and of whole weights, where they have 8, too. */
#ifndef KQ_DENSE_ROWS_H
#define KQ_DENSE_ROWS_H

#include "kq_gemm.h"

enum { KQ_MOST_TOGETHER = 8, KQ_MOST_TOGETHER_AVX2 = 2, KQ_HALF_CHUNK = 127 };

/* How many of the blocks that are left are computed together: a power of two. */
static inline uint32_t kq_together(uint32_t left, uint32_t most) {
  uint32_t together = most;
  while (together > left) together /= 2;
  return together;
}

/* What is made of a kernel alone: as for a convolution, but that rows have no places. */
typedef struct {
  kq_steps shared;
  uint32_t steps;
  uint32_t largest_pair; /* of weights of 8 bits: the largest |w0| + |w1| that vpmaddubsw multiplies and adds */
} kq_dense_rows;

static inline const kq_dense_rows *kq_dense_rows_of(const kq_gemm *gemm) { return gemm->shared.constants; }

bool kq_dense_accepts(const kq_operator *op);

extern const kq_packing kq_dense_packing, kq_dense_packing_avx2;

#endif
