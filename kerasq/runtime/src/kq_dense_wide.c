/* DENSE where a sum may need 64 bits, where the exact result becomes FLOAT32, and in float. */
#include "kq_float.h"

static int64_t sum_of(const kq_operator *op, const kq_rows *weights, kq_reader read, const uint8_t *x, uint32_t channel) {
  const uint32_t inputs = op->input[KQ_KERNEL]->shape[1];
  int64_t sum = 0;
  for (uint32_t i = 0; i < inputs; ++i) sum += (int64_t)read(x, i) * kq_weight(weights, channel, i);
  return sum;
}

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_totals totals = kq_totals_of(op, arena);
  const kq_rows weights = kq_rows_of(op->input[KQ_KERNEL]);
  const kq_reader read = kq_reader_of(op->input[KQ_X]->type);
  const kq_writer write = kq_writer_of(op->output->type);
  const uint8_t *x = kq_input_data(op, KQ_X, arena);
  uint8_t *output = kq_output_data(op, arena);
  for (uint32_t channel = 0; channel < op->output->elements; ++channel) {
    const int64_t total = kq_total(&totals, channel, channel, sum_of(op, &weights, read, x, channel));
    write(output, channel, kq_requantize(total, totals.shift, op->low.fixed, op->high.fixed));
  }
}

static void run_to_float(const kq_operator *op, uint8_t *arena) {
  const kq_totals totals = kq_totals_of(op, arena);
  const kq_rows weights = kq_rows_of(op->input[KQ_KERNEL]);
  const kq_reader read = kq_reader_of(op->input[KQ_X]->type);
  const uint8_t *x = kq_input_data(op, KQ_X, arena);
  uint8_t *output = kq_output_data(op, arena);
  for (uint32_t channel = 0; channel < op->output->elements; ++channel) {
    const int64_t total = kq_total(&totals, channel, channel, sum_of(op, &weights, read, x, channel));
    kq_put_float(op, output, channel, kq_scaled_float(total, -totals.shift));
  }
}

/* Sums are formed in double: exact products, and an error far below one rounding to float32. */
static void run_float(const kq_operator *op, uint8_t *arena) {
  const kq_float_totals totals = kq_float_totals_of(op, arena);
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const kq_rows rows = kq_rows_of(kernel);
  const kq_values values = kq_values_of(op->input[KQ_X]), weights = kq_values_of(kernel);
  const uint8_t *x = kq_input_data(op, KQ_X, arena);
  uint8_t *output = kq_output_data(op, arena);
  for (uint32_t channel = 0; channel < op->output->elements; ++channel) {
    double sum = 0;
    for (uint32_t i = 0; i < kernel->shape[1]; ++i) {
      sum += (double)kq_value(&values, x, i) * (double)kq_float_weight(&rows, &weights, channel, i);
    }
    kq_put_float(op, output, channel, kq_float_total(&totals, channel, channel, (float)sum));
  }
}

const kq_kernel kq_dense_wide = {
    .name = "kq_dense_wide",
    .kind = KQ_DENSE,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = 64,
    .accepts = kq_has_fixed_output,
    .run = run,
};
const kq_kernel kq_dense_to_float = {
    .name = "kq_dense_to_float",
    .kind = KQ_DENSE,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_is_integer_to_float,
    .run = run_to_float,
};
const kq_kernel kq_dense_float = {
    .name = "kq_dense_float",
    .kind = KQ_DENSE,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = 0,
    .run = run_float,
};
