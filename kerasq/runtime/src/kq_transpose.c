/* TRANSPOSE: two neighbouring axes change places; clamped where there is a clamp. */
#include "kq_transpose.h"

static void run(const kq_operator *op, uint8_t *arena) {
  kq_swap_axes(op, arena);
  kq_clamp_all(op, kq_output_data(op, arena));
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
