/* DENSE where a sum may need 64 bits, where the exact result becomes FLOAT32, and in float. */
#include "kq_float.h"

static int64_t sum_of(const kq_operator *op, const uint8_t *x, uint32_t channel) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  int64_t sum = 0;
  for (uint32_t i = 0; i < kernel->shape[1]; ++i) {
    sum += (int64_t)kq_stored(op->input[KQ_X]->type, x, i) * kq_weight(kernel, channel, i);
  }
  return sum;
}

static void run(const kq_operator *op, uint8_t *arena) {
  const uint8_t *x = kq_input_data(op, KQ_X, arena);
  const int shift = kq_total_frac_bits(op) - op->output->frac_bits;
  for (uint32_t channel = 0; channel < op->output->elements; ++channel) {
    const int64_t total = kq_total(op, channel, sum_of(op, x, channel));
    kq_store(op->output->type, kq_output_data(op, arena), channel, kq_requantize(total, shift, op->low.fixed, op->high.fixed));
  }
}

static void run_to_float(const kq_operator *op, uint8_t *arena) {
  const uint8_t *x = kq_input_data(op, KQ_X, arena);
  for (uint32_t channel = 0; channel < op->output->elements; ++channel) {
    const int64_t total = kq_total(op, channel, sum_of(op, x, channel));
    kq_put_float(op, kq_output_data(op, arena), channel, kq_scaled_float(total, -kq_total_frac_bits(op)));
  }
}

/* Sums are formed in double: exact products, and an error far below one rounding to float32. */
static void run_float(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const uint8_t *x = kq_input_data(op, KQ_X, arena);
  for (uint32_t channel = 0; channel < kernel->shape[0]; ++channel) {
    double sum = 0;
    for (uint32_t i = 0; i < kernel->shape[1]; ++i) {
      const float weight = kernel->type == KQ_SIGN ? (float)kq_weight(kernel, channel, i)
                                                   : kq_value(kernel, kernel->data, channel * kernel->shape[1] + i);
      sum += (double)kq_value(op->input[KQ_X], x, i) * (double)weight;
    }
    kq_finish_float(op, channel, (float)sum, kq_output_data(op, arena), channel);
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
