/* DENSE of 8-bit inputs, a multiple of eight, by 8-bit weights. */
#include "kq_arm_block.h"
#include "kq_arm_dense.h"

enum { CHUNK = 16 * KQ_ARM_ROWS }; /* outputs whose finish is in the scratch memory at a time */

/* Scratch: the finish of a chunk, and the inputs as halfwords. */
static size_t scratch_bytes(const kq_operator *op) {
  return CHUNK * sizeof(kq_arm_channel) + (size_t)op->input[KQ_KERNEL]->shape[1] * 2;
}

static bool accepts(const kq_operator *op) {
  return kq_bits(op->input[KQ_X]->type) == 8 && op->input[KQ_KERNEL]->shape[1] % KQ_ARM_ROW_STEP == 0 && kq_arm_can_finish(op) &&
         scratch_bytes(op) <= KQ_ARM_MOST_SCRATCH;
}

static const uint32_t *widen(const kq_operator *op, const uint8_t *x, uint32_t *to) {
  const bool is_signed = op->input[KQ_X]->type == KQ_FIXED8;
  for (const uint8_t *const end = x + op->input[KQ_KERNEL]->shape[1]; x != end; x += 4) {
    const uint32_t word = kq_load_word(x);
    *to++ = kq_odd_bytes(word, is_signed);
    *to++ = kq_even_bytes(word, is_signed);
  }
  return to;
}

/* Outputs from number `first` on, a multiple of KQ_ARM_ROWS and at most a chunk. */
static void run_rows(kq_arm_dense *dense, kq_arm_channel *channels, uint32_t first, uint32_t count, uint8_t *output) {
  const kq_tensor *kernel = dense->op->input[KQ_KERNEL];
  kq_arm_make_channels(dense->op, first, count, channels);
  dense->weights = kernel->data + (size_t)first * kernel->shape[1];
  dense->channel = channels;
  dense->y = output + first;
  dense->left = count / KQ_ARM_ROWS;
  if (dense->left > 0) kq_arm_dense_rows(dense);
}

/* Layers of one or two outputs: each of them three times. */
static void run_few(kq_arm_dense *dense, kq_arm_channel *channels, uint32_t outputs, uint8_t *output) {
  const kq_tensor *kernel = dense->op->input[KQ_KERNEL];
  dense->row_bytes = 0;
  for (uint32_t i = 0; i < outputs; ++i) {
    uint8_t results[KQ_ARM_ROWS];
    kq_arm_make_channels(dense->op, i, 1, channels);
    channels[2] = channels[1] = channels[0];
    dense->weights = kernel->data + (size_t)i * kernel->shape[1];
    dense->channel = channels;
    dense->y = results;
    dense->left = 1;
    kq_arm_dense_rows(dense);
    output[i] = results[0];
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  const uint32_t inputs = op->input[KQ_KERNEL]->shape[1], outputs = op->input[KQ_KERNEL]->shape[0];
  uint8_t *const y = kq_output_data(op, arena);
  kq_arm_channel *const channels = (kq_arm_channel *)(void *)(arena + op->scratch);
  uint32_t *const x = (uint32_t *)(void *)(channels + CHUNK);
  kq_arm_dense dense = {.x = x, .row_bytes = inputs, .op = op};
  kq_arm_choose_dense_finish(&dense);
  dense.x_end = widen(op, kq_input_data(op, KQ_X, arena), x);
  dense.x_whole = x + inputs / (KQ_ARM_STEPS_AT_ONCE * KQ_ARM_ROW_STEP) * (KQ_ARM_STEPS_AT_ONCE * KQ_ARM_ROW_STEP / 2);
  if (outputs < KQ_ARM_ROWS) {
    run_few(&dense, channels, outputs, y);
    kq_arm_limit(op, arena);
    return;
  }
  for (uint32_t first = 0; first < outputs; first += CHUNK) {
    const uint32_t left = outputs - first, count = left < CHUNK ? left : CHUNK;
    run_rows(&dense, channels, first, count - count % KQ_ARM_ROWS, y);
  }
  if (outputs % KQ_ARM_ROWS != 0) run_rows(&dense, channels, outputs - KQ_ARM_ROWS, KQ_ARM_ROWS, y); /* some of them again */
  kq_arm_limit(op, arena);
}

const kq_kernel kq_dense_dsp = {.name = "kq_dense_dsp",
                                .kind = KQ_DENSE,
                                .input_type = KQ_ANY,
                                .weight_type = KQ_FIXED8,
                                .accumulator_bits = 32,
                                .accepts = accepts,
                                .scratch_bytes = scratch_bytes,
                                .run = run};
