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
    "kq_transpose", KQ_TRANSPOSE, KQ_ANY, KQ_ANY, KQ_ANY_BITS, kq_has_fixed_output, NULL, NULL, run, NULL};
