/* DENSE of 8-bit inputs, a multiple of eight, by 8-bit weights, for many outputs. */
#include "kq_arm_block.h"
#include "kq_arm_dense_rows.h"

static size_t scratch_bytes(const kq_operator *op) { return (size_t)op->input[KQ_KERNEL]->shape[1] * 2; }

static bool accepts(const kq_operator *op) {
  return kq_arm_can_multiply_rows(op) && kq_arm_has_many_rows(op) && scratch_bytes(op) <= KQ_ARM_MOST_SCRATCH;
}

/* What does not change from output to output, and steps of one output for now. */
static void prepare(const kq_operator *op, kq_arm_dense_block *block) {
  static const uint8_t ones[] = {1, 0, 1, 0, 1, 0}, zeros[4 * KQ_ARM_ROWS] = {0};
  const kq_tensor *multiplier = op->input[KQ_MULTIPLIER], *bias = op->input[KQ_BIAS];
  const bool is_short = bias != NULL && bias->type == KQ_FIXED16;
  block->row_bytes = op->input[KQ_KERNEL]->shape[1];
  block->start_low = (uint32_t)1 << 31;
  block->start_high = op->output->type == KQ_FIXED8 ? 128 : 0;
  block->finish = is_short ? kq_arm_finish_16 : kq_arm_finish_32;
  block->left = 32 - (kq_total_frac_bits(op) - op->output->frac_bits);
  block->unit = (int32_t)1 << kq_arm_bias_places(op);
  block->multiplier = multiplier == NULL ? ones : multiplier->data;
  block->multiplier_step = multiplier == NULL ? 0 : 2;
  block->bias = bias == NULL ? zeros : bias->data;
  block->bias_step = bias == NULL ? 0 : is_short ? 2 : 4;
}

static void run_rows(kq_arm_dense_block block, uint8_t *output, uint32_t first, uint32_t count, const uint8_t *weights) {
  block.weights = weights + first * block.row_bytes;
  block.multiplier += first * block.multiplier_step;
  block.bias += first * block.bias_step;
  block.multiplier_step *= KQ_ARM_ROWS;
  block.bias_step *= KQ_ARM_ROWS;
  block.y = output + first;
  block.y_end = block.y + count;
  kq_arm_dense_many_rows(&block);
}

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const uint32_t outputs = kernel->shape[0], inputs = kernel->shape[1], at_once = KQ_ARM_ROW_STEPS_AT_ONCE * KQ_ARM_ROW_STEP;
  uint8_t *const y = kq_output_data(op, arena);
  uint32_t *const x = (uint32_t *)(void *)(arena + op->scratch);
  kq_arm_dense_block block = {.x = x, .x_whole = x + inputs / at_once * (at_once / 2)};
  block.x_end = kq_arm_widen_inputs(op, kq_input_data(op, KQ_X, arena), x);
  prepare(op, &block);
  run_rows(block, y, 0, outputs - outputs % KQ_ARM_ROWS, kernel->data);
  if (outputs % KQ_ARM_ROWS != 0) run_rows(block, y, outputs - KQ_ARM_ROWS, KQ_ARM_ROWS, kernel->data); /* some of them again */
  kq_arm_limit(op, arena);
}

const kq_kernel kq_dense_rows_dsp = {.name = "kq_dense_rows_dsp",
                                     .kind = KQ_DENSE,
                                     .input_type = KQ_ANY,
                                     .weight_type = KQ_FIXED8,
                                     .accumulator_bits = 32,
                                     .accepts = accepts,
                                     .scratch_bytes = scratch_bytes,
                                     .run = run};
