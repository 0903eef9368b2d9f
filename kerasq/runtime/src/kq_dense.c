/* DENSE: every output is a weighted sum of all inputs, read flattened. */
#include "kq_dot.h"

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *x = op->input[KQ_X], *kernel = op->input[KQ_KERNEL];
  const kq_dot dot = (kq_dot)op->kernel->inner;
  const kq_rows rows = kq_rows_of(kernel);
  kq_finish finish;
  const kq_strips strips = {.rows = 1, .count = kernel->shape[1], .step = kq_value_bytes(x->type)};
  kq_set_finish(&finish, op, arena);
  const uint8_t *const input = kq_input_data(op, KQ_X, arena);
  for (uint32_t channel = 0; channel < op->output->elements; ++channel) {
    const uint8_t *const weights = rows.data + (size_t)channel * rows.bytes;
    kq_put_sum(&finish, channel, channel, dot(&strips, input, weights, channel * rows.values));
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
