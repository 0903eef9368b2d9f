/* ADD where an input or the output is FLOAT32: of fixed inputs the exact sum, rounded to float32 once, else a sum of floats. */
#include "kq_float.h"

/* To the finer of the fractional bits. */
static void add_exactly(const kq_operator *op, const uint8_t *a_data, const uint8_t *b_data, uint8_t *y_data) {
  const kq_tensor *a = op->input[KQ_ADD_FIRST_INPUT], *b = op->input[KQ_ADD_SECOND_INPUT];
  const kq_reader read_a = kq_reader_of(a->type), read_b = kq_reader_of(b->type);
  const int frac_bits = a->frac_bits > b->frac_bits ? a->frac_bits : b->frac_bits;
  const int64_t left = (int64_t)1 << (frac_bits - a->frac_bits), right = (int64_t)1 << (frac_bits - b->frac_bits);
  for (uint32_t i = 0; i < op->output->elements; ++i) {
    kq_put_float(op, y_data, i, kq_scaled_float(read_a(a_data, i) * left + read_b(b_data, i) * right, -frac_bits));
  }
}

static void add_floats(const kq_operator *op, const uint8_t *a_data, const uint8_t *b_data, uint8_t *y_data) {
  const kq_values a = kq_values_of(op->input[KQ_ADD_FIRST_INPUT]), b = kq_values_of(op->input[KQ_ADD_SECOND_INPUT]);
  for (uint32_t i = 0; i < op->output->elements; ++i) {
    kq_put_float(op, y_data, i, kq_value(&a, a_data, i) + kq_value(&b, b_data, i));
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  const uint8_t *a_data = kq_input_data(op, KQ_ADD_FIRST_INPUT, arena), *b_data = kq_input_data(op, KQ_ADD_SECOND_INPUT, arena);
  (op->is_integer ? add_exactly : add_floats)(op, a_data, b_data, kq_output_data(op, arena));
}

const kq_kernel kq_add_mixed = {
    .name = "kq_add_mixed",
    .kind = KQ_ADD,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_has_float,
    .run = run,
};
KQ_FORMER_NAME(kq_add_float, kq_add_mixed)
