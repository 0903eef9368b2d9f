/* DENSE: every output is a weighted sum of all inputs, read flattened. */
#include "kq_dot.h"

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_dot dot = (kq_dot)op->kernel->inner;
  const kq_rows rows = kq_rows_of(op->input[KQ_KERNEL]);
  const kq_totals totals = kq_totals_of(op, arena);
  const kq_writer write = kq_writer_of(op->output->type);
  const uint32_t inputs = op->input[KQ_KERNEL]->shape[1];
  const uint8_t *x = kq_input_data(op, KQ_X, arena);
  uint8_t *output = kq_output_data(op, arena);
  for (uint32_t channel = 0; channel < op->output->elements; ++channel) {
    const int32_t sum = dot(x, rows.data + (size_t)channel * rows.bytes, channel * rows.values, inputs);
    const int64_t total = kq_total(&totals, channel, channel, sum);
    write(output, channel, kq_requantize(total, totals.shift, op->low.fixed, op->high.fixed));
  }
}

#define KERNEL(x, weight, type_of_x, type_of_weight)                        \
  const kq_kernel kq_dense_##x##_##weight = {                               \
    .name = "kq_dense_" #x "_" #weight,                                     \
    .kind = KQ_DENSE,                                                       \
    .input_type = type_of_x,                                                \
    .weight_type = type_of_weight,                                          \
    .accumulator_bits = 32,                                                 \
    .accepts = kq_has_fixed_output,                                         \
    .run = run,                                                             \
    .inner = (void (*)(void))kq_dot_##x##_##weight,                         \
  };
KQ_DOTS(KERNEL)
