/* MUL where an input or the output is FLOAT32: of fixed inputs the exact product, rounded to float32 once, else one of floats. */
#include "kq_float.h"

static void multiply_exactly(const kq_operator *op, const uint8_t *a_data, const uint8_t *b_data, uint8_t *y_data) {
  const kq_tensor *a = op->input[KQ_MUL_FIRST_INPUT], *b = op->input[KQ_MUL_SECOND_INPUT];
  const kq_reader read_a = kq_reader_of(a->type), read_b = kq_reader_of(b->type);
  for (uint32_t i = 0, j = 0; i < op->output->elements; ++i, ++j) {
    if (j == b->elements) j = 0; /* the next pixel's channels */
    const int64_t product = (int64_t)(read_a(a_data, i) - op->zero) * read_b(b_data, j);
    kq_put_float(op, y_data, i, kq_scaled_float(product, -(a->frac_bits + b->frac_bits)));
  }
}

static void multiply_floats(const kq_operator *op, const uint8_t *a_data, const uint8_t *b_data, uint8_t *y_data) {
  const kq_values a = kq_values_of(op->input[KQ_MUL_FIRST_INPUT]), b = kq_values_of(op->input[KQ_MUL_SECOND_INPUT]);
  for (uint32_t i = 0, j = 0; i < op->output->elements; ++i, ++j) {
    if (j == op->input[KQ_MUL_SECOND_INPUT]->elements) j = 0;
    kq_put_float(op, y_data, i, kq_value(&a, a_data, i) * kq_value(&b, b_data, j));
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  const uint8_t *a_data = kq_input_data(op, KQ_MUL_FIRST_INPUT, arena), *b_data = kq_input_data(op, KQ_MUL_SECOND_INPUT, arena);
  (op->is_integer ? multiply_exactly : multiply_floats)(op, a_data, b_data, kq_output_data(op, arena));
}

const kq_kernel kq_mul_mixed = {
    .name = "kq_mul_mixed",
    .kind = KQ_MUL,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_has_float,
    .run = run,
};
KQ_FORMER_NAME(kq_mul_float, kq_mul_mixed)
