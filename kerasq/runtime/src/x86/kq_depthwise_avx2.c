/* Depthwise convolution for AVX2: tiles of 4 output pixels by 16 channels. See kq_gemm.h. */
#include "../packed/kq_rounding.h"
#include "kq_wide.h"

enum { TILE = 4 };

KQ_INLINE __m256i load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

/* Two taps of 16 channels: neighbouring 16-bit products are added in 32 bits. */
KQ_INLINE void add_taps(const uint8_t *a, const uint8_t *b, const uint8_t *weights, __m256i sum[2]) {
  const __m256i xa = load(a), xb = load(b);
  sum[0] = _mm256_add_epi32(sum[0], _mm256_madd_epi16(_mm256_unpacklo_epi16(xa, xb), load(weights)));
  sum[1] = _mm256_add_epi32(sum[1], _mm256_madd_epi16(_mm256_unpackhi_epi16(xa, xb), load(weights + 32)));
}

KQ_INLINE void add_tap_f32(const uint8_t *x, const uint8_t *weights, __m256i sum[2]) {
  for (int half = 0; half < 2; ++half) {
    const __m256 v = _mm256_castsi256_ps(load(x + 32 * half)), w = _mm256_castsi256_ps(load(weights + 32 * half));
    sum[half] = _mm256_castps_si256(_mm256_fmadd_ps(v, w, _mm256_castsi256_ps(sum[half])));
  }
}

/* Sums of some steps of a block for a tile of pixels, channels in the order of the weights. */
static void add_steps(const int32_t *place, const uint8_t *weights, uint32_t steps, const uint8_t *const x[], __m256i sum[][2]) {
  for (int p = 0; p < TILE; ++p) sum[p][0] = sum[p][1] = _mm256_setzero_si256();
  for (uint32_t step = 0; step < steps; ++step, weights += KQ_STEP_BYTES) {
    for (int p = 0; p < TILE; ++p) add_taps(x[p] + place[2 * step], x[p] + place[2 * step + 1], weights, sum[p]);
  }
}

static void add_steps_f32(const int32_t *place, const uint8_t *weights, uint32_t steps, const uint8_t *const x[],
                          __m256i sum[][2]) {
  for (int p = 0; p < TILE; ++p) sum[p][0] = sum[p][1] = _mm256_setzero_si256();
  for (uint32_t step = 0; step < steps; ++step, weights += KQ_STEP_BYTES) {
    for (int p = 0; p < TILE; ++p) add_tap_f32(x[p] + place[step], weights, sum[p]);
  }
}

/* Channels 0-3 8-11 and 4-7 12-15 to 0-7 and 8-15. */
KQ_INLINE void order(__m256i sum[2]) {
  const __m256i low = _mm256_permute2x128_si256(sum[0], sum[1], 0x20);
  sum[1] = _mm256_permute2x128_si256(sum[0], sum[1], 0x31);
  sum[0] = low;
}

/* Outputs of one block for the `count` pixels from number `pixel` on, from sums that begin at its start values. */
static void compute_tile(const kq_operator *op, const kq_gemm *gemm, const kq_target *target, uint32_t pixel, uint32_t count,
                         const uint8_t *const x[], uint8_t *output) {
  const kq_block *block = &gemm->block[target->number];
  const int32_t *place = kq_places_of(gemm, block), *start = gemm->start + (size_t)target->number * KQ_LANES;
  const uint8_t *weights = gemm->weights + (size_t)block->first_step * KQ_STEP_BYTES;
  __m256i sum[TILE][2];
  if (gemm->step_type == KQ_STEP_DEPTHWISE_F32) {
    add_steps_f32(place, weights, block->steps, x, sum);
  } else {
    add_steps(place, weights, block->steps, x, sum);
    for (int p = 0; p < TILE; ++p) {
      order(sum[p]);
      sum[p][0] = _mm256_add_epi32(sum[p][0], load(start));
      sum[p][1] = _mm256_add_epi32(sum[p][1], load(start + 8));
    }
  }
  kq_finish_tile(op, gemm, target, pixel, count, sum, output);
}

/* The same where sums have 64 bits. */
static void compute_wide_tile(const kq_operator *op, const kq_gemm *gemm, const kq_target *target, uint32_t pixel, uint32_t count,
                              const uint8_t *const x[], uint8_t *output) {
  const kq_block *block = &gemm->block[target->number];
  const uint32_t half_steps = block->steps / gemm->halves;
  kq_wide wide[TILE][2];
  memset(wide, 0, sizeof wide);
  for (uint32_t half = 0; half < gemm->halves; ++half) {
    for (uint32_t done = 0; done < half_steps; done += block->chunk) {
      const uint32_t step = half * half_steps + done;
      __m256i sum[TILE][2];
      add_steps(kq_places_of(gemm, block) + 2 * step, gemm->weights + (size_t)(block->first_step + step) * KQ_STEP_BYTES,
                half_steps - done < block->chunk ? half_steps - done : block->chunk, x, sum);
      for (int p = 0; p < TILE; ++p) {
        order(sum[p]);
        kq_widen(&wide[p][0], sum[p][0], half);
        kq_widen(&wide[p][1], sum[p][1], half);
      }
    }
  }
  kq_finish_wide(op, gemm, target, pixel, count, wide, output);
}

static void compute_chunk(const kq_operator *op, const kq_gemm *gemm, const kq_gemm_chunk *chunk, const uint8_t *input,
                          uint8_t *output) {
  const uint8_t *places[KQ_CHUNK];
  kq_gemm_places(gemm, chunk->pixel, chunk->pixels, TILE, input, places);
  for (uint32_t number = chunk->block; number < chunk->end; ++number) {
    const kq_target target = kq_target_of(op, gemm, number);
    for (uint32_t i = 0; i < chunk->pixels; i += TILE) {
      const uint8_t *x[TILE];
      const uint32_t left = kq_least(chunk->pixels - i, TILE);
      for (int p = 0; p < TILE; ++p) x[p] = places[i + (uint32_t)p] + gemm->block[number].x_offset;
      (gemm->wide ? compute_wide_tile : compute_tile)(op, gemm, &target, chunk->pixel + i, left, x, output);
    }
  }
}

static void run(const kq_operator *op, uint8_t *arena) { kq_run_rounded(op, arena, compute_chunk); }
static void compute_piece(const kq_piece *piece) { kq_compute_piece_rounded(piece, compute_chunk); }

const kq_kernel kq_depthwise_conv_2d_avx2 = {
    .name = "kq_depthwise_conv_2d_avx2",
    .kind = KQ_CONV_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_depthwise_accepts,
    .packing = &kq_gemm_packing,
    .scratch_bytes = kq_gemm_scratch_bytes,
    .run = run,
};

KQ_GEMM_SPLIT(kq_split_depthwise_conv_2d_avx2, kq_depthwise_conv_2d_avx2, 8, compute_piece)
