/* QUANTIZE: from one fixed format to another; with its clamp also the stand-alone ReLU. */
#include "kq_arithmetic.h"

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *x = op->input[0], *y = op->output;
  const kq_reader read = kq_reader_of(x->type);
  const kq_writer write = kq_writer_of(y->type);
  const uint8_t *x_data = kq_input_data(op, 0, arena);
  uint8_t *y_data = kq_output_data(op, arena);
  const int shift = x->frac_bits - y->frac_bits;
  for (uint32_t i = 0; i < y->elements; ++i) {
    write(y_data, i, kq_requantize(read(x_data, i), shift, op->low.fixed, op->high.fixed));
  }
}

const kq_kernel kq_quantize = {
    .name = "kq_quantize",
    .kind = KQ_QUANTIZE,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_is_fixed_throughout,
    .run = run,
};
