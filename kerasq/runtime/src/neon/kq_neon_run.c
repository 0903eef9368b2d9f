/* What all kernels of a matrix product do around their steps: see kq_neon.h. */
#include "../x86/kq_rounding.h"
#include "kq_neon.h"

/* One block of output channels for the pixels from number `first` on, whose windows begin at `places`. */
static void compute_block(const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint32_t first, uint32_t count,
                          const uint8_t *const places[], uint8_t *output) {
  const kq_block *block = &gemm->block[number];
  const kq_neon_add add = gemm->step_type == KQ_STEP_S16 ? kq_neon_add_words : (kq_neon_add)op->kernel->inner;
  kq_neon_work work = {
      .place = gemm->place + block->first_place,
      .weights = gemm->weights + (size_t)block->first_step * KQ_STEP_BYTES,
      .start = gemm->start + (size_t)number * KQ_LANES,
      .steps = block->steps,
      .chunk = block->chunk,
      .narrow = block->channels <= KQ_LANES / 2,
  };
  for (uint32_t i = 0; i < count; i += KQ_TILE) {
    const uint32_t left = count - i < KQ_TILE ? count - i : KQ_TILE;
    const uint8_t *x[KQ_TILE];
    kq_neon_sums sums[KQ_TILE];
    work.single = left == 1;
    for (uint32_t p = 0; p < KQ_TILE; ++p) x[p] = places[i + p] + block->x_offset;
    add(&work, x, sums);
    kq_neon_finish(op, gemm, number, first + i, left, sums, output);
  }
}

/* A chunk of pixels by all blocks: the chunk's inputs stay in the first-level cache while block after block passes over them. */
static void compute_chunk(const kq_operator *op, const kq_gemm *gemm, const kq_gemm_chunk *chunk, const uint8_t *input,
                          uint8_t *output) {
  const uint8_t *places[KQ_CHUNK];
  kq_gemm_places(gemm, chunk->pixel, chunk->pixels, KQ_TILE, input, places);
  for (uint32_t number = chunk->block; number < chunk->end; ++number) {
    compute_block(op, gemm, number, chunk->pixel, chunk->pixels, places, output);
  }
}

void kq_neon_run(const kq_operator *op, uint8_t *arena) { kq_run_rounded(op, arena, compute_chunk); }
