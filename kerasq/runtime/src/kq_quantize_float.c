/* QUANTIZE to or from FLOAT32. */
#include "kq_float.h"

static void run(const kq_operator *op, uint8_t *arena) {
  const uint8_t *x = kq_input_data(op, 0, arena);
  uint8_t *y = kq_output_data(op, arena);
  for (uint32_t i = 0; i < op->output->elements; ++i) kq_put_float(op, y, i, kq_value(op->input[0], x, i));
}

const kq_kernel kq_quantize_float = {
    "kq_quantize_float", KQ_QUANTIZE, KQ_ANY, KQ_ANY, KQ_ANY_BITS, NULL, NULL, NULL, run, NULL};
