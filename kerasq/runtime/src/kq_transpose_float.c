/* TRANSPOSE of FLOAT32 values, clamped where there is a clamp. */
#include "kq_float.h"
#include "kq_transpose.h"

static void run(const kq_operator *op, uint8_t *arena) {
  uint8_t *output = kq_output_data(op, arena);
  kq_swap_axes(op, arena);
  if (!op->has_clamp) return;
  for (uint32_t i = 0; i < op->output->elements; ++i) kq_put_float(op, output, i, kq_load_f32(output + (size_t)i * 4));
}

const kq_kernel kq_transpose_float = {
    .name = "kq_transpose_float",
    .kind = KQ_TRANSPOSE,
    .input_type = KQ_FLOAT32,
    .weight_type = KQ_ANY,
    .accumulator_bits = 0,
    .run = run,
};
