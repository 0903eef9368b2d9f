/* ADD where an input or the output is FLOAT32: of two fixed inputs the exact sum, rounded to float32 once, else a sum of floats. */
#include "kq_float.h"

static float exact_sum(const kq_operator *op, const uint8_t *a_data, const uint8_t *b_data, uint32_t i) {
  const kq_tensor *a = op->input[0], *b = op->input[1];
  const int frac_bits = a->frac_bits > b->frac_bits ? a->frac_bits : b->frac_bits;
  const int64_t left = kq_stored(a->type, a_data, i) * ((int64_t)1 << (frac_bits - a->frac_bits));
  const int64_t right = kq_stored(b->type, b_data, i) * ((int64_t)1 << (frac_bits - b->frac_bits));
  return kq_scaled_float(left + right, -frac_bits);
}

static float float_sum(const kq_operator *op, const uint8_t *a_data, const uint8_t *b_data, uint32_t i) {
  return kq_value(op->input[0], a_data, i) + kq_value(op->input[1], b_data, i);
}

static void run(const kq_operator *op, uint8_t *arena) {
  const uint8_t *a_data = kq_input_data(op, 0, arena), *b_data = kq_input_data(op, 1, arena);
  uint8_t *y_data = kq_output_data(op, arena);
  float (*const sum)(const kq_operator *, const uint8_t *, const uint8_t *, uint32_t) = op->is_integer ? exact_sum : float_sum;
  for (uint32_t i = 0; i < op->output->elements; ++i) kq_put_float(op, y_data, i, sum(op, a_data, b_data, i));
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
