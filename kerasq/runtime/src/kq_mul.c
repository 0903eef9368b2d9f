/* MUL in integers: the product of two tensors, or of one and a value for each channel, requantized once.
 * Of the first one its zero is subtracted before. */
#include "kq_arithmetic.h"

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *a = op->input[KQ_MUL_FIRST_INPUT], *b = op->input[KQ_MUL_SECOND_INPUT], *y = op->output;
  const kq_reader read_a = kq_reader_of(a->type), read_b = kq_reader_of(b->type);
  const kq_writer write = kq_writer_of(y->type);
  const int shift = a->frac_bits + b->frac_bits - y->frac_bits;
  const uint8_t *a_data = kq_input_data(op, KQ_MUL_FIRST_INPUT, arena), *b_data = kq_input_data(op, KQ_MUL_SECOND_INPUT, arena);
  uint8_t *y_data = kq_output_data(op, arena);
  for (uint32_t i = 0, j = 0; i < y->elements; ++i, ++j) {
    if (j == b->elements) j = 0; /* the next pixel's channels */
    const int64_t product = (int64_t)(read_a(a_data, i) - op->zero) * read_b(b_data, j);
    write(y_data, i, kq_requantize(product, shift, op->low.fixed, op->high.fixed));
  }
}

const kq_kernel kq_mul = {
    .name = "kq_mul",
    .kind = KQ_MUL,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_is_fixed_throughout,
    .run = run,
};
