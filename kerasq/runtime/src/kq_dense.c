/* DENSE: every output is a weighted sum of all inputs, read flattened. */
#include "kq_dot.h"

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const kq_dot dot = (kq_dot)op->kernel->inner;
  const uint8_t *x = kq_input_data(op, KQ_X, arena);
  uint8_t *output = kq_output_data(op, arena);
  const int shift = kq_total_frac_bits(op) - op->output->frac_bits;
  const uint32_t inputs = kernel->shape[1], row_bytes = kq_row_bytes(kernel);
  for (uint32_t channel = 0; channel < kernel->shape[0]; ++channel) {
    const int32_t sum = dot(x, kernel->data + (size_t)channel * row_bytes, row_bytes == 0 ? channel * inputs : 0, inputs);
    const int32_t y = kq_requantize(kq_total(op, channel, sum), shift, op->low.fixed, op->high.fixed);
    kq_store(op->output->type, output, channel, y);
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
