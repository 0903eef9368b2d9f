/* ADD in integers: both inputs shifted left to the finer of their fractional bits, added, requantized once. */
#include "kq_arithmetic.h"

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *a = op->input[KQ_ADD_FIRST_INPUT], *b = op->input[KQ_ADD_SECOND_INPUT], *y = op->output;
  const kq_reader read_a = kq_reader_of(a->type), read_b = kq_reader_of(b->type);
  const kq_writer write = kq_writer_of(y->type);
  const int frac_bits = a->frac_bits > b->frac_bits ? a->frac_bits : b->frac_bits;
  const int64_t left = (int64_t)1 << (frac_bits - a->frac_bits), right = (int64_t)1 << (frac_bits - b->frac_bits);
  const int shift = frac_bits - y->frac_bits;
  const uint8_t *a_data = kq_input_data(op, KQ_ADD_FIRST_INPUT, arena), *b_data = kq_input_data(op, KQ_ADD_SECOND_INPUT, arena);
  uint8_t *y_data = kq_output_data(op, arena);
  for (uint32_t i = 0; i < y->elements; ++i) {
    const int64_t sum = read_a(a_data, i) * left + read_b(b_data, i) * right;
    write(y_data, i, kq_requantize(sum, shift, op->low.fixed, op->high.fixed));
  }
}

const kq_kernel kq_add = {
    .name = "kq_add",
    .kind = KQ_ADD,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_is_fixed_throughout,
    .run = run,
};
