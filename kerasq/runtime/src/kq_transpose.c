/* TRANSPOSE: two neighbouring axes change places; clamped where there is a clamp. */
#include "kq_transpose.h"

static void run(const kq_operator *op, uint8_t *arena) {
  uint8_t *output = kq_output_data(op, arena);
  kq_swap_axes(op, arena);
  if (!op->has_clamp) return;
  const uint8_t type = op->output->type;
  for (uint32_t i = 0; i < op->output->elements; ++i) {
    kq_store(type, output, i, (int32_t)kq_clamp(kq_stored(type, output, i), op->low.fixed, op->high.fixed));
  }
}

const kq_kernel kq_transpose = {
    .name = "kq_transpose",
    .kind = KQ_TRANSPOSE,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_has_fixed_output,
    .run = run,
};
