/* What all kernels of a matrix product do around their steps: see kq_neon.h. */
#include "../packed/kq_rounding.h"
#include "kq_neon.h"

/* One block of output channels: its sums for the pixels from number `first` on, whose windows begin at `places`, and their
 * outputs. */
static void compute_block(const kq_operator *op, const kq_gemm *gemm, const kq_neon_finish *finish, uint32_t first, uint32_t count,
                          const uint8_t *const places[]) {
  const kq_block *block = finish->block;
  const kq_neon_add add = gemm->step_type == KQ_STEP_S16 ? kq_neon_add_words : (kq_neon_add)op->kernel->inner;
  kq_neon_work work = {
      .place = kq_places_of(gemm, block),
      .weights = gemm->weights + (size_t)block->first_step * KQ_STEP_BYTES,
      .start = gemm->start + (size_t)(block - gemm->block) * KQ_LANES,
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
    kq_neon_put(finish, first + i, left, sums);
  }
}

/* A chunk of pixels by all blocks: the chunk's inputs stay in the first-level cache while block after block passes over them. */
static void compute_chunk(const kq_operator *op, const kq_gemm *gemm, const kq_gemm_chunk *chunk, const uint8_t *input,
                          uint8_t *output) {
  const uint8_t *places[KQ_CHUNK];
  kq_gemm_places(gemm, chunk->pixel, chunk->pixels, KQ_TILE, input, places);
  for (uint32_t number = chunk->block; number < chunk->end; ++number) {
    kq_neon_finish finish;
    kq_neon_set_finish(&finish, op, gemm, number, output);
    compute_block(op, gemm, &finish, chunk->pixel, chunk->pixels, places);
  }
}

void kq_neon_run(const kq_operator *op, uint8_t *arena) { kq_run_rounded(op, arena, compute_chunk); }

void kq_neon_compute_piece(const kq_piece *piece) { kq_compute_piece_rounded(piece, compute_chunk); }

/* Examples of a Dense layer are pixels whose inputs and outputs are `step` bytes apart. */
static void compute_together(const kq_operator *op, const kq_gemm *gemm, uint8_t *arenas, size_t step, uint32_t examples) {
  const uint8_t *places[KQ_CHUNK];
  for (uint32_t e = 0; e < examples; ++e) places[e] = kq_gemm_input(op, gemm, arenas + e * step);
  for (uint32_t e = examples; e % KQ_TILE != 0; ++e) places[e] = places[examples - 1];
  for (uint32_t number = 0; number < gemm->blocks; ++number) {
    kq_neon_finish finish;
    kq_neon_set_finish(&finish, op, gemm, number, kq_output_data(op, arenas));
    finish.next = step;
    compute_block(op, gemm, &finish, 0, examples, places);
  }
}

void kq_neon_run_several(const kq_operator *op, uint8_t *arenas, size_t step, uint32_t examples) {
  const kq_gemm *gemm = op->packed;
  if (gemm->finish == KQ_FINISH_ANY) { /* finds outputs where they are in an arena */
    for (uint32_t e = 0; e < examples; ++e) kq_neon_run(op, arenas + e * step);
    return;
  }
  const uint32_t mode = kq_round_for(gemm);
  for (uint32_t e = 0; e < examples; e += KQ_CHUNK) {
    compute_together(op, gemm, arenas + e * step, step, examples - e < KQ_CHUNK ? examples - e : KQ_CHUNK);
  }
  kq_round_again(gemm, mode);
}
