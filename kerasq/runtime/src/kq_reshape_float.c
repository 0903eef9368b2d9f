/* RESHAPE of FLOAT32 values, clamped where there is a clamp. Input and output may be one place. */
#include "kq_float.h"

static void run(const kq_operator *op, uint8_t *arena) {
  uint8_t *output = kq_output_data(op, arena);
  memmove(output, kq_input_data(op, 0, arena), op->output->bytes);
  if (!op->has_clamp) return;
  for (uint32_t i = 0; i < op->output->elements; ++i) kq_put_float(op, output, i, kq_load_f32(output + (size_t)i * 4));
}

const kq_kernel kq_reshape_float = {
    .name = "kq_reshape_float",
    .kind = KQ_RESHAPE,
    .input_type = KQ_FLOAT32,
    .weight_type = KQ_ANY,
    .accumulator_bits = 0,
    .run = run,
};
