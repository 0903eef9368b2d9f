/* CONCAT where an input or the output is FLOAT32. */
#include "kq_float.h"

static void run(const kq_operator *op, uint8_t *arena) {
  const uint32_t all = op->output->shape[op->output->rank - 1];
  uint8_t *y_data = kq_output_data(op, arena);
  uint32_t first = 0;
  for (uint32_t number = 0; number < op->inputs; ++number) {
    const kq_tensor *x = op->input[number];
    const kq_values values = kq_values_of(x);
    const uint8_t *x_data = kq_input_data(op, number, arena);
    const uint32_t channels = x->shape[x->rank - 1];
    for (uint32_t from = 0, to = first; from < x->elements; from += channels, to += all) {
      for (uint32_t i = 0; i < channels; ++i) kq_put_float(op, y_data, to + i, kq_value(&values, x_data, from + i));
    }
    first += channels;
  }
}

const kq_kernel kq_concat_mixed = {
    .name = "kq_concat_mixed",
    .kind = KQ_CONCAT,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_has_float,
    .run = run,
};
KQ_FORMER_NAME(kq_concat_float, kq_concat_mixed)
