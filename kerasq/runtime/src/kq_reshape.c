/* RESHAPE: the same stored values in another shape, clamped where there is a clamp. Input and output may be one place. */
#include "kq_arithmetic.h"

static void run(const kq_operator *op, uint8_t *arena) {
  uint8_t *output = kq_output_data(op, arena);
  memmove(output, kq_input_data(op, 0, arena), op->output->bytes);
  kq_clamp_all(op, output);
}

const kq_kernel kq_reshape = {
    .name = "kq_reshape",
    .kind = KQ_RESHAPE,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_has_fixed_output,
    .run = run,
};
