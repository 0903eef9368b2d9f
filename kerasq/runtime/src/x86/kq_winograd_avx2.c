/* Convolution by windows of 3x3 for AVX2: see kq_winograd.h. */
#include "kq_winograd.h"

#include "../packed/kq_rounding.h"
#include "kq_finish.h"

enum { PLACES = KQ_WINOGRAD_PLACES, GROUP = KQ_WINOGRAD_GROUP, TOGETHER = 4 };

KQ_INLINE __m256i load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
KQ_INLINE void store(void *to, __m256i v) { _mm256_storeu_si256((__m256i *)to, v); }

#define KQ_ADD _mm256_add_epi16
#define KQ_SUB _mm256_sub_epi16

/* ---- Weights ---- */

/* Of three weights in a row or column the four places. */
KQ_INLINE void weight_places(__m256i a, __m256i b, __m256i c, __m256i place[4]) {
  const __m256i outer = KQ_ADD(a, c);
  place[0] = KQ_ADD(a, a);
  place[1] = KQ_ADD(outer, b);
  place[2] = KQ_SUB(outer, b);
  place[3] = KQ_ADD(c, c);
}

/* 8 output channels, two input channels of each: nine taps, 2 * KQ_LANES bytes apart. */
static void transform_taps(const uint8_t *taps, uint8_t *to, size_t step) {
  __m256i column[3][4], place[4];
  for (int x = 0; x < 3; ++x) {
    __m256i w[3];
    for (int y = 0; y < 3; ++y) {
      const uint8_t *tap = taps + (3 * y + x) * 2 * KQ_LANES;
      w[y] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)tap));
    }
    weight_places(w[0], w[1], w[2], column[x]);
  }
  for (int y = 0; y < 4; ++y) {
    weight_places(column[0][y], column[1][y], column[2][y], place);
    for (int x = 0; x < 4; ++x, to += step) store(to, place[x]);
  }
}

/* Those of blocks [first, end). */
static void transform_weights(const kq_gemm *gemm, uint32_t pairs, uint32_t first, uint32_t end, uint8_t *to) {
  const size_t step = (size_t)pairs * KQ_STEP_BYTES;
  const uint8_t *taps = gemm->weights + (size_t)first * pairs * KQ_WINOGRAD_TAPS * 2 * KQ_LANES;
  to += first * PLACES * step;
  for (uint32_t block = first; block < end; ++block, to += PLACES * step) {
    for (uint32_t pair = 0; pair < pairs; ++pair, taps += KQ_WINOGRAD_TAPS * 2 * KQ_LANES) {
      transform_taps(taps, to + (size_t)pair * KQ_STEP_BYTES, step);
      transform_taps(taps + KQ_LANES, to + (size_t)pair * KQ_STEP_BYTES + KQ_STEP_BYTES / 2, step);
    }
  }
}

/* ---- Inputs ---- */

KQ_INLINE void input_places(__m256i a, __m256i b, __m256i c, __m256i d, __m256i place[4]) {
  place[0] = KQ_SUB(a, c);
  place[1] = KQ_ADD(b, c);
  place[2] = KQ_SUB(c, b);
  place[3] = KQ_SUB(b, d);
}

/* The window of a tile, whose pixels and rows are so many bytes apart; its places are `step` bytes apart. */
static void transform_window(const uint8_t *window, size_t pixel, size_t line, size_t row, uint8_t *to, size_t step) {
  for (size_t i = 0; i < row; i += 32) {
    __m256i column[4][4], place[4];
    for (size_t x = 0; x < 4; ++x) {
      const uint8_t *d = window + x * pixel + i;
      input_places(load(d), load(d + line), load(d + 2 * line), load(d + 3 * line), column[x]);
    }
    uint8_t *next = to + i;
    for (int y = 0; y < 4; ++y) {
      input_places(column[0][y], column[1][y], column[2][y], column[3][y], place);
      for (int x = 0; x < 4; ++x, next += step) store(next, place[x]);
    }
  }
}

/* ---- Products ---- */

#define KQ_EACH(DO) DO(0) DO(1) DO(2) DO(3)
#define KQ_TAKE(p)                              \
  const uint8_t *const x##p = inputs + p * row; \
  __m256i a##p = _mm256_setzero_si256(), b##p = a##p;
#define KQ_MULTIPLY(p)                                       \
  {                                                          \
    const __m256i v = kq_broadcast(x##p + 4 * (size_t)pair); \
    a##p = _mm256_add_epi32(a##p, _mm256_madd_epi16(v, w0)); \
    b##p = _mm256_add_epi32(b##p, _mm256_madd_epi16(v, w1)); \
  }
#define KQ_GIVE(p)                      \
  store(sums + p * KQ_LANES, a##p);     \
  store(sums + p * KQ_LANES + 8, b##p);

/* Sums of TOGETHER tiles in one place. */
static void multiply(const uint8_t *inputs, size_t row, const uint8_t *weights, uint32_t pairs, int32_t *sums) {
  KQ_EACH(KQ_TAKE)
  for (uint32_t pair = 0; pair < pairs; ++pair, weights += KQ_STEP_BYTES) {
    const __m256i w0 = load(weights), w1 = load(weights + 32);
    KQ_EACH(KQ_MULTIPLY)
  }
  KQ_EACH(KQ_GIVE)
}

/* ---- Outputs ---- */

/* The two outputs of four places, doubled. */
KQ_INLINE void output_pair(__m256i a, __m256i b, __m256i c, __m256i d, __m256i y[2]) {
  y[0] = _mm256_add_epi32(_mm256_add_epi32(a, b), c);
  y[1] = _mm256_sub_epi32(_mm256_sub_epi32(b, c), d);
}

/* Sums of a tile's 2x2 pixels, for 8 channels, `half` of a block: sum[row][first + column][half]. */
KQ_INLINE void tile_sums(const int32_t *sums, const int32_t *start, int half, uint32_t first, __m256i sum[2][TOGETHER][2]) {
  const size_t step = GROUP * KQ_LANES;
  const __m256i begin = load(start + 8 * half);
  __m256i column[4][2], y[2];
  sums += 8 * half;
  for (size_t x = 0; x < 4; ++x) {
    const int32_t *m = sums + x * step;
    output_pair(load(m), load(m + 4 * step), load(m + 8 * step), load(m + 12 * step), column[x]);
  }
  for (int row = 0; row < 2; ++row) {
    output_pair(column[0][row], column[1][row], column[2][row], column[3][row], y);
    for (uint32_t i = 0; i < 2; ++i) sum[row][first + i][half] = _mm256_add_epi32(_mm256_srai_epi32(y[i], 2), begin);
  }
}

/* Outputs of a block of the tiles from number `first` on, two by two where they are neighbours. */
static void finish_block(const kq_operator *op, const kq_gemm *gemm, const kq_winograd *w, uint32_t number, uint32_t first,
                         uint32_t count, const int32_t *sums, uint8_t *output) {
  const kq_target target = kq_target_of(op, gemm, number);
  const int32_t *start = gemm->start + (size_t)number * KQ_LANES;
  const uint32_t rows = op->output->shape[1], columns = op->output->shape[2];
  for (uint32_t t = 0, tiles; t < count; t += tiles) {
    const uint32_t y = (first + t) / w->tile_columns * 2, x = (first + t) % w->tile_columns * 2;
    tiles = t + 1 < count && x + 2 < columns ? 2 : 1;
    __m256i sum[2][TOGETHER][2];
    for (uint32_t i = 0; i < tiles; ++i) {
      tile_sums(sums + (t + i) * KQ_LANES, start, 0, 2 * i, sum);
      tile_sums(sums + (t + i) * KQ_LANES, start, 1, 2 * i, sum);
    }
    const uint32_t pixels = columns - x < 2 * tiles ? columns - x : 2 * tiles;
    kq_finish_tile(op, gemm, &target, y * columns + x, pixels, sum[0], output);
    if (y + 1 < rows) kq_finish_tile(op, gemm, &target, (y + 1) * columns + x, pixels, sum[1], output);
  }
}

/* Blocks [number, end) of the group of tiles that begins with number `first`; `inputs` has room for what lies between w->inputs
 * and w->end. */
static void compute_group(const kq_operator *op, const kq_winograd *w, uint32_t first, uint32_t number, uint32_t end,
                          const uint8_t *input, uint8_t *inputs, uint8_t *arena) {
  const kq_gemm *gemm = op->packed;
  const uint32_t count = kq_least(w->tile_rows * w->tile_columns - first, GROUP);
  int32_t *const sums = (int32_t *)(void *)(inputs + (w->sums - w->inputs));
  for (uint32_t t = 0; t < count; ++t) {
    const size_t y = (first + t) / w->tile_columns, x = (first + t) % w->tile_columns;
    const uint8_t *window = input + 2 * y * gemm->row_bytes + 2 * x * gemm->column_bytes;
    transform_window(window, gemm->column_bytes, gemm->row_bytes, w->row, inputs + t * w->row, GROUP * w->row);
  }
  const uint8_t *weights = arena + op->scratch + w->weights + (size_t)number * PLACES * w->pairs * KQ_STEP_BYTES;
  for (; number < end; ++number) {
    for (uint32_t place = 0; place < PLACES; ++place, weights += (size_t)w->pairs * KQ_STEP_BYTES) {
      for (uint32_t t = 0; t < count; t += TOGETHER) {
        multiply(inputs + (place * GROUP + t) * w->row, w->row, weights, w->pairs, sums + (place * GROUP + t) * KQ_LANES);
      }
    }
    finish_block(op, gemm, w, number, first, count, sums, kq_output_data(op, arena));
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_gemm *gemm = op->packed;
  const kq_winograd w = kq_winograd_of(op);
  const uint8_t *input = kq_gemm_input(op, gemm, arena);
  const uint32_t tiles = w.tile_rows * w.tile_columns, mode = kq_round_for(gemm);
  transform_weights(gemm, w.pairs, 0, gemm->blocks, arena + op->scratch + w.weights);
  for (uint32_t first = 0; first < tiles; first += GROUP) {
    compute_group(op, &w, first, 0, gemm->blocks, input, arena + op->scratch + w.inputs, arena);
  }
  kq_round_again(gemm, mode);
}

/* ---- In pieces: the copy of the input; weights; groups of tiles, each of some blocks ---- */

static size_t own_bytes(const kq_operator *op) {
  const kq_winograd w = kq_winograd_of(op);
  return w.end - w.inputs;
}

static uint32_t groups_of(const kq_winograd *w) { return (w->tile_rows * w->tile_columns + GROUP - 1) / GROUP; }

static uint32_t pieces(const kq_operator *op, uint32_t stage, uint32_t wanted) {
  const kq_gemm *gemm = op->packed;
  const kq_winograd w = kq_winograd_of(op);
  if (stage == 0) return kq_gemm_pieces(op, 0, wanted);
  if (stage == 1) return kq_least(gemm->blocks, wanted);
  const uint32_t groups = groups_of(&w);
  return groups * kq_least(gemm->blocks, (wanted + groups - 1) / groups);
}

static void compute_piece(const kq_piece *piece) {
  const kq_operator *op = piece->op;
  const kq_gemm *gemm = op->packed;
  const kq_winograd w = kq_winograd_of(op);
  uint8_t *const scratch = piece->arena + op->scratch;
  if (piece->stage == 0) {
    kq_gemm_compute_piece(piece, NULL);
  } else if (piece->stage == 1) {
    transform_weights(gemm, w.pairs, kq_part_begin(gemm->blocks, piece->number, piece->pieces),
                      kq_part_begin(gemm->blocks, piece->number + 1, piece->pieces), scratch + w.weights);
  } else {
    const uint32_t groups = groups_of(&w), parts = piece->pieces / groups, part = piece->number % parts;
    const uint32_t mode = kq_round_for(gemm);
    compute_group(op, &w, piece->number / parts * GROUP, kq_part_begin(gemm->blocks, part, parts),
                  kq_part_begin(gemm->blocks, part + 1, parts), scratch, piece->own, piece->arena);
    kq_round_again(gemm, mode);
  }
}

const kq_kernel kq_conv_2d_3x3_avx2 = {
    .name = "kq_conv_2d_3x3_avx2",
    .kind = KQ_CONV_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_FIXED8,
    .accumulator_bits = 32,
    .accepts = kq_winograd_accepts,
    .packing = &kq_winograd_packing,
    .scratch_bytes = kq_winograd_scratch_bytes,
    .run = run,
};

const kq_split kq_split_conv_2d_3x3_avx2 = {
    .kernel = &kq_conv_2d_3x3_avx2,
    .cost = 1,
    .stages = 3,
    .own_bytes = own_bytes,
    .pieces = pieces,
    .compute = compute_piece,
};
