/* DENSE of 8-bit inputs, a multiple of eight, by 8-bit weights. */
#include "kq_arm_block.h"
#include "kq_arm_dense.h"

/* Scratch: the finish of all outputs, and the inputs as halfwords. */
static size_t scratch_bytes(const kq_operator *op) {
  const uint32_t *shape = op->input[KQ_KERNEL]->shape;
  return shape[0] * sizeof(kq_arm_channel) + (size_t)shape[1] * 2;
}

static bool accepts(const kq_operator *op) {
  return kq_arm_can_multiply_rows(op) && !kq_arm_has_many_rows(op) && scratch_bytes(op) <= KQ_ARM_MOST_SCRATCH;
}

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const uint32_t outputs = kernel->shape[0], inputs = kernel->shape[1], at_once = KQ_ARM_STEPS_AT_ONCE * KQ_ARM_ROW_STEP;
  kq_arm_channel *const channels = (kq_arm_channel *)(void *)(arena + op->scratch);
  uint32_t *const x = (uint32_t *)(void *)(channels + outputs);
  uint8_t *const y = kq_output_data(op, arena);
  kq_arm_dense dense = {.x = x,
                        .x_whole = x + inputs / at_once * (at_once / 2),
                        .x_end = kq_arm_widen_inputs(op, kq_input_data(op, KQ_X, arena), x),
                        .weights = kernel->data,
                        .row_bytes = inputs,
                        .channel = channels,
                        .y = y,
                        .left = outputs / KQ_ARM_ROWS};
  kq_arm_make_channels(op, 0, outputs, channels);
  if (dense.left > 0) kq_arm_dense_rows(&dense);
  for (uint32_t i = outputs - outputs % KQ_ARM_ROWS; i < outputs; ++i) {
    y[i] = kq_arm_finish(&channels[i], kq_arm_dense_dot(x, dense.x_end, kernel->data + (size_t)i * inputs), 0);
  }
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
