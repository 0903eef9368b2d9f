/* ARGMAX where the input or the output is FLOAT32. A NaN among the values is the largest. */
#include "kq_float.h"

static bool is_larger(float value, float largest) { return value > largest || (value != value && largest == largest); }

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *x = op->input[KQ_ARGMAX_INPUT], *y = op->output;
  const kq_values values = kq_values_of(x);
  const uint8_t *x_data = kq_input_data(op, KQ_ARGMAX_INPUT, arena);
  uint8_t *y_data = kq_output_data(op, arena);
  const uint32_t classes = x->shape[x->rank - 1];
  for (uint32_t i = 0; i < y->elements; ++i) {
    const uint32_t first = i * classes;
    float largest = kq_value(&values, x_data, first);
    uint32_t place = 0;
    for (uint32_t k = 1; k < classes; ++k) {
      const float value = kq_value(&values, x_data, first + k);
      if (!is_larger(value, largest)) continue;
      largest = value;
      place = k;
    }
    kq_put_float(op, y_data, i, (float)place);
  }
}

const kq_kernel kq_argmax_mixed = {
    .name = "kq_argmax_mixed",
    .kind = KQ_ARGMAX,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_has_float,
    .run = run,
};
