/* ADD in float, and in integers with a FLOAT32 output. */
#include "kq_float.h"

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *a = op->input[0], *b = op->input[1];
  const uint8_t *a_data = kq_input_data(op, 0, arena), *b_data = kq_input_data(op, 1, arena);
  const int frac_bits = a->frac_bits > b->frac_bits ? a->frac_bits : b->frac_bits;
  uint8_t *y_data = kq_output_data(op, arena);
  for (uint32_t i = 0; i < op->output->elements; ++i) {
    float sum;
    if (op->is_integer) {
      const int64_t left = kq_stored(a->type, a_data, i) * ((int64_t)1 << (frac_bits - a->frac_bits));
      const int64_t right = kq_stored(b->type, b_data, i) * ((int64_t)1 << (frac_bits - b->frac_bits));
      sum = kq_scaled_float(left + right, -frac_bits);
    } else {
      sum = kq_value(a, a_data, i) + kq_value(b, b_data, i);
    }
    kq_put_float(op, y_data, i, sum);
  }
}

const kq_kernel kq_add_float = {"kq_add_float", KQ_ADD, KQ_ANY, KQ_ANY, KQ_ANY_BITS, NULL, NULL, NULL, run, NULL};
