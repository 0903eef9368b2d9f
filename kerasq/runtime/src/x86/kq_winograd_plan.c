/* What a convolution of 3x3 is made of: see kq_winograd.h. Runs when a model is prepared. */
#include "kq_winograd.h"

enum { LEAST_CHANNELS = 8, LEAST_TILES = 8, MOST_WEIGHTS = 1 << 22 }; /* MOST_WEIGHTS: every arena has them transformed, 15 MB */

kq_winograd kq_winograd_of(const kq_operator *op) {
  const kq_image in = kq_image_of(op);
  const uint32_t *y = op->output->shape;
  const size_t staged_row = 2 * (size_t)kq_staged_columns(&in) * in.channels; /* bytes; one more, where rows are odd */
  kq_winograd w = {
      .row = ((size_t)in.channels + 15) / 16 * 32,
      .pairs = (in.channels + 1) / 2,
      .tile_rows = (y[1] + 1) / 2,
      .tile_columns = (y[2] + 1) / 2,
  };
  w.weights = kq_aligned(kq_gemm_doubled_scratch_bytes(op) + staged_row + 4 * (size_t)in.channels);
  w.inputs = w.weights + (size_t)kq_blocks_of(op) * KQ_WINOGRAD_PLACES * w.pairs * KQ_STEP_BYTES;
  w.sums = w.inputs + kq_aligned(KQ_WINOGRAD_PLACES * KQ_WINOGRAD_GROUP * w.row);
  w.end = w.sums + KQ_WINOGRAD_PLACES * KQ_WINOGRAD_GROUP * KQ_LANES * sizeof(int32_t);
  return w;
}

size_t kq_winograd_scratch_bytes(const kq_operator *op) { return kq_winograd_of(op).end; }

bool kq_winograd_accepts(const kq_operator *op) {
  const uint32_t *kernel = op->input[KQ_KERNEL]->shape;
  if (!kq_gemm_accepts(op) || kq_is_dense(op) || kq_step_type_of(op) != KQ_STEP_U8) return false;
  if (op->input[KQ_KERNEL]->type != KQ_FIXED8 || op->groups != 1 || kernel[1] != 3 || kernel[2] != 3) return false;
  if (op->strides[0] != 1 || op->strides[1] != 1 || op->dilations[0] != 1 || op->dilations[1] != 1) return false;
  const kq_winograd w = kq_winograd_of(op);
  if (kernel[3] < LEAST_CHANNELS || kernel[3] > KQ_WINOGRAD_CHANNELS || kernel[0] <= KQ_LANES / 2) return false;
  return op->input[KQ_KERNEL]->elements <= MOST_WEIGHTS && (uint64_t)w.tile_rows * w.tile_columns >= LEAST_TILES;
}

typedef struct {
  size_t block, sum, magnitude, weights, end;
} layout;

static layout lay_out(const kq_operator *op) {
  const size_t blocks = kq_blocks_of(op), lanes = blocks * KQ_LANES, pairs = (op->input[KQ_KERNEL]->shape[3] + 1) / 2;
  layout l;
  l.block = kq_aligned(sizeof(kq_steps));
  l.sum = l.block + blocks * sizeof(kq_block);
  l.magnitude = l.sum + lanes * sizeof(int32_t);
  l.weights = kq_aligned(l.magnitude + lanes * sizeof(uint16_t));
  l.end = l.weights + lanes * pairs * KQ_WINOGRAD_TAPS * 2;
  return l;
}

static size_t bytes(const kq_operator *op) { return lay_out(op).end; }

/* A block's weights. */
static void fill_weights(const kq_operator *op, const kq_block *block, uint8_t *to) {
  const kq_rows rows = kq_rows_of(op->input[KQ_KERNEL]);
  const uint32_t channels = op->input[KQ_KERNEL]->shape[3];
  for (uint32_t i = 0; i < channels; ++i) {
    for (uint32_t tap = 0; tap < KQ_WINOGRAD_TAPS; ++tap) {
      uint8_t *step = to + (size_t)(i / 2 * KQ_WINOGRAD_TAPS + tap) * 2 * KQ_LANES + i % 2;
      for (uint32_t lane = 0; lane < block->channels; ++lane) {
        step[2 * lane] = (uint8_t)kq_weight(&rows, block->first_channel + lane, tap * channels + i);
      }
    }
  }
}

static void pack(const kq_operator *op, const void *constants, void *memory) {
  const layout l = lay_out(op);
  const uint32_t blocks = kq_blocks_of(op), outputs = op->output->shape[3];
  uint8_t *base = memory;
  (void)constants;
  memset(base, 0, l.end);
  kq_block *block = (kq_block *)(void *)(base + l.block);
  int32_t *sum = (int32_t *)(void *)(base + l.sum);
  uint16_t *magnitude = (uint16_t *)(void *)(base + l.magnitude);
  *(kq_steps *)memory = (kq_steps){
      .blocks = blocks,
      .doubled = true,
      .block = block,
      .weights = base + l.weights,
      .sum = sum,
      .magnitude = magnitude,
  };
  const size_t block_bytes = (l.end - l.weights) / blocks;
  for (uint32_t i = 0; i < blocks; ++i) {
    const uint32_t left = outputs - i * KQ_LANES;
    block[i] = (kq_block){.first_channel = i * KQ_LANES, .channels = (uint16_t)kq_least(left, KQ_LANES)};
    fill_weights(op, &block[i], base + l.weights + i * block_bytes);
    kq_fill_sums(op, &block[i], sum + (size_t)i * KQ_LANES, magnitude + (size_t)i * KQ_LANES);
  }
}

/* All is made of the kernel alone. */
static bool serves(const kq_operator *owner, const kq_operator *op) {
  (void)owner, (void)op;
  return true;
}

static const kq_part weights_part = {.bytes = bytes, .serves = serves, .pack = pack};

const kq_packing kq_winograd_packing = {
    .reserve = kq_reserve, .fill = kq_fill, .constants = &weights_part, .finish = &kq_gemm_finish_part};
