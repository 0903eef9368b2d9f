/* Convolution for AVX-512 VNNI: tiles of 8 output pixels by two blocks of 16 output channels. See kq_gemm.h. */
#include "kq_finish_avx512.h"

enum { TILE = 8 };

/* The steps of two blocks that multiply the same inputs, or twice of one block, and the values that their sums start from. */
typedef struct {
  const int32_t *place;
  const uint8_t *weights[2];
  const int32_t *start[2];
  uint32_t steps, chunk;
} work;

/* The inner loops make sum[pixel][block] of the products of the steps of a pair of blocks, or of one. Their sums are variables,
 * not arrays, as compilers keep only those in registers. */
typedef void (*add_steps)(const work *w, const uint8_t *const x[], __m512i sum[][2]);

#define KQ_EACH_8(DO, type) DO(0, type) DO(1, type) DO(2, type) DO(3, type) DO(4, type) DO(5, type) DO(6, type) DO(7, type)
#define KQ_EACH_1(DO, type) DO(0, type)
#define KQ_POINT(p, type) const uint8_t *const x##p = x[p];
#define KQ_TAKE(p, type) __m512i a##p = start0, b##p = start1;
#define KQ_GIVE_PAIR(p, type) sum[p][0] = a##p, sum[p][1] = b##p;
#define KQ_GIVE_ONE(p, type) sum[p][0] = a##p, (void)b##p;
#define KQ_PAIR(p, type)                              \
  {                                                   \
    const __m512i v = kq_broadcast_512(x##p + place); \
    a##p = kq_products_##type(a##p, v, w0);           \
    b##p = kq_products_##type(b##p, v, w1);           \
  }
#define KQ_SINGLE(p, type) a##p = kq_products_##type(a##p, kq_broadcast_512(x##p + place), w0);

#define KQ_STEPS(name, EACH, LINE, GIVE, type)                                                        \
  static void name(const work *w, const uint8_t *const x[], __m512i sum[][2]) {                       \
    const uint8_t *first = w->weights[0], *second = w->weights[1];                                    \
    const uint8_t *const end = first + (size_t)w->steps * KQ_STEP_BYTES;                              \
    const int32_t *next = w->place;                                                                   \
    const __m512i start0 = _mm512_loadu_si512(w->start[0]), start1 = _mm512_loadu_si512(w->start[1]); \
    EACH(KQ_POINT, type) EACH(KQ_TAKE, type)                                                          \
    for (; first != end; first += KQ_STEP_BYTES, second += KQ_STEP_BYTES) {                           \
      const ptrdiff_t place = *next++;                                                                \
      const __m512i w0 = _mm512_loadu_si512(first), w1 = _mm512_loadu_si512(second);                  \
      (void)w1;                                                                                       \
      EACH(LINE, type)                                                                                \
    }                                                                                                 \
    EACH(GIVE, type)                                                                                  \
  }

#define KQ_ALL_STEPS(type)                                          \
  KQ_STEPS(pair_##type##_8, KQ_EACH_8, KQ_PAIR, KQ_GIVE_PAIR, type) \
  KQ_STEPS(pair_##type##_1, KQ_EACH_1, KQ_PAIR, KQ_GIVE_PAIR, type) \
  KQ_STEPS(one_##type##_8, KQ_EACH_8, KQ_SINGLE, KQ_GIVE_ONE, type) \
  KQ_STEPS(one_##type##_1, KQ_EACH_1, KQ_SINGLE, KQ_GIVE_ONE, type)
KQ_ALL_STEPS(u8)
KQ_ALL_STEPS(s16)
KQ_ALL_STEPS(f32)

/* The inner loop for one or two blocks, and a tile of 8 pixels or of 1. */
static add_steps inner_loop(kq_step_type type, bool pair, bool single) {
  static const add_steps loops[3][2][2] = {{{one_u8_8, one_u8_1}, {pair_u8_8, pair_u8_1}},
                                           {{one_s16_8, one_s16_1}, {pair_s16_8, pair_s16_1}},
                                           {{one_f32_8, one_f32_1}, {pair_f32_8, pair_f32_1}}};
  return loops[type][pair ? 1 : 0][single ? 1 : 0];
}

/* Outputs of one of the two blocks, whole tiles and the last. */
KQ_INLINE void finish(const kq_operator *op, const kq_gemm *gemm, const kq_finish_terms *terms, const kq_target *target,
                      uint32_t pixel, uint32_t count, __m512i sum[][2], int which, uint8_t *output) {
  if (kq_finishes_bytes(op, gemm)) {
    if (count == TILE) {
      kq_finish_512(gemm, terms, target, pixel, TILE, sum, which, output);
    } else {
      kq_finish_512(gemm, terms, target, pixel, count, sum, which, output);
    }
    return;
  }
  __m256i halves[TILE][2];
  for (uint32_t p = 0; p < count; ++p) {
    for (int half = 0; half < 2; ++half) halves[p][half] = kq_half(sum[p][which], half);
  }
  kq_finish_tile(op, gemm, target, pixel, count, halves, output);
}

/* Sums of 64 bits of one or two blocks, chunk by chunk, in registers of 256 bits, which is how they are finished. */
static void add_wide(const work *w, uint32_t halves, uint32_t blocks, add_steps add, const uint8_t *const x[], uint32_t count,
                     kq_wide wide[2][TILE][2]) {
  const uint32_t half_steps = w->steps / halves;
  work chunk = *w;
  memset(wide, 0, 2 * sizeof wide[0]);
  for (uint32_t half = 0; half < halves; ++half) {
    for (uint32_t done = 0; done < half_steps; done += w->chunk) {
      const uint32_t step = half * half_steps + done;
      __m512i sum[TILE][2];
      chunk.steps = half_steps - done < w->chunk ? half_steps - done : w->chunk;
      chunk.place = w->place + step;
      for (int b = 0; b < 2; ++b) chunk.weights[b] = w->weights[b] + (size_t)step * KQ_STEP_BYTES;
      add(&chunk, x, sum);
      for (uint32_t p = 0; p < count; ++p) {
        for (uint32_t b = 0; b < blocks; ++b) {
          kq_widen(&wide[b][p][0], kq_half(sum[p][b], 0), half);
          kq_widen(&wide[b][p][1], kq_half(sum[p][b], 1), half);
        }
      }
    }
  }
}

/* Blocks `number` and `number + blocks - 1` for the pixels from number `first` on, whose windows begin at `places`. */
static void compute_blocks(const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint32_t blocks, uint32_t first,
                           uint32_t count, const uint8_t *const places[], uint8_t *output) {
  const kq_block *block = &gemm->block[number], *other = &gemm->block[number + blocks - 1];
  const work w = {
      .place = kq_places_of(gemm, block),
      .weights = {gemm->weights + (size_t)block->first_step * KQ_STEP_BYTES,
                  gemm->weights + (size_t)other->first_step * KQ_STEP_BYTES},
      .start = {gemm->start + (size_t)number * KQ_LANES, gemm->start + (size_t)(number + blocks - 1) * KQ_LANES},
      .steps = block->steps,
      .chunk = block->chunk,
  };
  const kq_target target[2] = {kq_target_of(op, gemm, number), kq_target_of(op, gemm, number + blocks - 1)};
  kq_finish_terms terms[2];
  for (int b = 0; b < 2; ++b) {
    terms[b] = kq_finish_terms_of(gemm, target[b].number, kq_addends_of(op, gemm, &target[b], 0, output));
  }
  for (uint32_t i = 0; i < count; i += TILE) {
    const uint8_t *x[TILE];
    __m512i sum[TILE][2];
    const uint32_t left = count - i < TILE ? count - i : TILE;
    for (int p = 0; p < TILE; ++p) x[p] = places[i + (uint32_t)p] + block->x_offset;
    const add_steps add = inner_loop(gemm->step_type, blocks == 2, left == 1);
    if (gemm->wide) {
      kq_wide wide[2][TILE][2];
      add_wide(&w, gemm->halves, blocks, add, x, left, wide);
      for (uint32_t b = 0; b < blocks; ++b) kq_finish_wide(op, gemm, &target[b], first + i, left, wide[b], output);
      continue;
    }
    add(&w, x, sum);
    for (uint32_t b = 0; b < blocks; ++b) finish(op, gemm, &terms[b], &target[b], first + i, left, sum, (int)b, output);
  }
}

/* A chunk of pixels by all blocks: the chunk's inputs stay in the first-level cache while block after block passes over them. */
static void compute_chunk(const kq_operator *op, const kq_gemm *gemm, const kq_gemm_chunk *chunk, const uint8_t *input,
                          uint8_t *output) {
  const uint8_t *places[KQ_CHUNK];
  kq_gemm_places(gemm, chunk->pixel, chunk->pixels, TILE, input, places);
  for (uint32_t number = chunk->block; number < chunk->end;) {
    const bool pair = number + 1 < chunk->end && gemm->block[number].x_offset == gemm->block[number + 1].x_offset;
    compute_blocks(op, gemm, number, pair ? 2 : 1, chunk->pixel, chunk->pixels, places, output);
    number += pair ? 2 : 1;
  }
}

static void run(const kq_operator *op, uint8_t *arena) { kq_run_rounded(op, arena, compute_chunk); }
static void compute_piece(const kq_piece *piece) { kq_compute_piece_rounded(piece, compute_chunk); }

const kq_kernel kq_conv_2d_avx512 = {
    .name = "kq_conv_2d_avx512",
    .kind = KQ_CONV_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_gemm_accepts,
    .packing = &kq_gemm_packing,
    .scratch_bytes = kq_gemm_scratch_bytes,
    .run = run,
};

KQ_GEMM_SPLIT(kq_split_conv_2d_avx512, kq_conv_2d_avx512, 1, compute_piece)
