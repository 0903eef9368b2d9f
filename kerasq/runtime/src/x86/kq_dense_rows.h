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

#include "../packed/kq_rounding.h"

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

/* Computes the outputs of some blocks, from number `number` on, of an input in whatever form a tier takes it. */
typedef void (*kq_compute_blocks)(const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint32_t together, const void *x,
                                  const uint8_t *weights, uint8_t *output);

/* All blocks, at most `most` together, in the rounding mode that the finish takes. */
static inline void kq_dense_all(const kq_operator *op, uint8_t *arena, uint32_t most, const void *x, kq_compute_blocks compute) {
  const kq_gemm *gemm = op->packed;
  const uint8_t *weights = gemm->weights;
  const uint32_t mode = kq_round_for(gemm);
  for (uint32_t number = 0; number < gemm->blocks;) {
    const uint32_t together = kq_together(gemm->blocks - number, most);
    compute(op, gemm, number, together, x, weights, kq_output_data(op, arena));
    weights += (size_t)kq_dense_rows_of(gemm)->steps * together * KQ_STEP_BYTES;
    number += together;
  }
  kq_round_again(gemm, mode);
}

bool kq_dense_accepts(const kq_operator *op);

extern const kq_packing kq_dense_packing, kq_dense_packing_avx2;

#endif
