/* QUANTIZE to or from FLOAT32. */
#include "kq_float.h"

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_values values = kq_values_of(op->input[0]);
  const uint8_t *x = kq_input_data(op, 0, arena);
  uint8_t *y = kq_output_data(op, arena);
  for (uint32_t i = 0; i < op->output->elements; ++i) kq_put_float(op, y, i, kq_value(&values, x, i));
}

const kq_kernel kq_quantize_mixed = {
    .name = "kq_quantize_mixed",
    .kind = KQ_QUANTIZE,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_has_float,
    .run = run,
};
KQ_FORMER_NAME(kq_quantize_float, kq_quantize_mixed)
