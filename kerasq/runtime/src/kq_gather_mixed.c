/* GATHER where the input, the table or the output is FLOAT32. */
#include "kq_float.h"

/* floor(v + 1/2), exact in double, between the first and the last row; NaN as 0. */
static uint32_t row_of(float number, uint32_t rows) {
  if (!(number >= 0.5f)) return 0;
  if (number >= (float)(rows - 1)) return rows - 1;
  return (uint32_t)((double)number + 0.5);
}

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *x = op->input[KQ_GATHER_INPUT], *table = op->input[KQ_GATHER_TABLE];
  const kq_values numbers = kq_values_of(x), values = kq_values_of(table);
  const kq_rows rows = kq_rows_of(table);
  const uint8_t *x_data = kq_input_data(op, KQ_GATHER_INPUT, arena);
  uint8_t *y_data = kq_output_data(op, arena);
  const uint32_t width = table->shape[1];
  uint32_t to = 0;
  for (uint32_t i = 0; i < x->elements; ++i) {
    const uint32_t row = row_of(kq_value(&numbers, x_data, i), table->shape[0]);
    for (uint32_t k = 0; k < width; ++k) kq_put_float(op, y_data, to++, kq_float_weight(&rows, &values, row, k));
  }
}

const kq_kernel kq_gather_mixed = {
    .name = "kq_gather_mixed",
    .kind = KQ_GATHER,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_has_float,
    .run = run,
};
