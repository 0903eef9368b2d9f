/* MUL where an input or the output is FLOAT32: of two fixed inputs the exact product, rounded to float32 once, else one of floats. */
#include "kq_float.h"

static float exact_product(const kq_operator *op, const uint8_t *a_data, uint32_t i, const uint8_t *b_data, uint32_t j) {
  const kq_tensor *a = op->input[0], *b = op->input[1];
  const int64_t exact = (int64_t)kq_stored(a->type, a_data, i) * kq_stored(b->type, b_data, j);
  return kq_scaled_float(exact, -(a->frac_bits + b->frac_bits));
}

static float float_product(const kq_operator *op, const uint8_t *a_data, uint32_t i, const uint8_t *b_data, uint32_t j) {
  return kq_value(op->input[0], a_data, i) * kq_value(op->input[1], b_data, j);
}

static void run(const kq_operator *op, uint8_t *arena) {
  const uint8_t *a_data = kq_input_data(op, 0, arena), *b_data = kq_input_data(op, 1, arena);
  uint8_t *y_data = kq_output_data(op, arena);
  float (*const product)(const kq_operator *, const uint8_t *, uint32_t, const uint8_t *, uint32_t) =
      op->is_integer ? exact_product : float_product;
  for (uint32_t i = 0, j = 0; i < op->output->elements; ++i, ++j) {
    if (j == op->input[1]->elements) j = 0; /* the next pixel's channels */
    kq_put_float(op, y_data, i, product(op, a_data, i, b_data, j));
  }
}

const kq_kernel kq_mul_mixed = {
    .name = "kq_mul_mixed",
    .kind = KQ_MUL,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_has_float,
    .run = run,
};
KQ_FORMER_NAME(kq_mul_float, kq_mul_mixed)
