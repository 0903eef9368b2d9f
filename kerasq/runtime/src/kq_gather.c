/* GATHER in integers: rows of a table, each requantized into the output's format; copied where that is the table's own. */
#include "kq_weighted.h"

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *x = op->input[KQ_GATHER_INPUT], *table = op->input[KQ_GATHER_TABLE], *y = op->output;
  const kq_reader read = kq_reader_of(x->type);
  const kq_writer write = kq_writer_of(y->type);
  const kq_rows rows = kq_rows_of(table);
  const uint8_t *x_data = kq_input_data(op, KQ_GATHER_INPUT, arena);
  uint8_t *y_data = kq_output_data(op, arena);
  const uint32_t width = table->shape[1];
  const int shift = table->frac_bits - y->frac_bits;
  const bool copies = shift == 0 && table->type == y->type && !op->has_clamp;
  uint32_t to = 0;
  for (uint32_t i = 0; i < x->elements; ++i) {
    const uint32_t row = (uint32_t)kq_clamp(read(x_data, i), 0, (int64_t)table->shape[0] - 1);
    if (copies) {
      memcpy(y_data + (size_t)i * rows.bytes, table->data + (size_t)row * rows.bytes, rows.bytes);
      continue;
    }
    for (uint32_t k = 0; k < width; ++k) {
      write(y_data, to++, kq_requantize(kq_weight(&rows, row, k), shift, op->low.fixed, op->high.fixed));
    }
  }
}

const kq_kernel kq_gather = {
    .name = "kq_gather",
    .kind = KQ_GATHER,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_is_fixed_throughout,
    .run = run,
};
