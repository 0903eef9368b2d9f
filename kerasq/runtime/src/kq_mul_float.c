/* MUL in float, and in integers with a FLOAT32 output. */
#include "kq_float.h"

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *a = op->input[0], *b = op->input[1];
  const uint8_t *a_data = kq_input_data(op, 0, arena), *b_data = kq_input_data(op, 1, arena);
  uint8_t *y_data = kq_output_data(op, arena);
  for (uint32_t i = 0, j = 0; i < op->output->elements; ++i, ++j) {
    if (j == b->elements) j = 0; /* the next pixel's channels */
    float product;
    if (op->is_integer) {
      const int64_t exact = (int64_t)kq_stored(a->type, a_data, i) * kq_stored(b->type, b_data, j);
      product = kq_scaled_float(exact, -(a->frac_bits + b->frac_bits));
    } else {
      product = kq_value(a, a_data, i) * kq_value(b, b_data, j);
    }
    kq_put_float(op, y_data, i, product);
  }
}

const kq_kernel kq_mul_float = {"kq_mul_float", KQ_MUL, KQ_ANY, KQ_ANY, KQ_ANY_BITS, NULL, NULL, NULL, run, NULL};
