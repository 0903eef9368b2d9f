/* ARGMAX of fixed values: the place of the largest stored integer of each row, the first of equal ones. */
#include "kq_arithmetic.h"

/* With its highest bit turned, a signed integer is an unsigned one of the same order: one loop for both. */
static uint32_t largest_of_8(const uint8_t *x, uint32_t classes, uint32_t turned) {
  uint32_t place = 0, largest = x[0] ^ turned;
  for (uint32_t i = 1; i < classes; ++i) {
    const uint32_t value = x[i] ^ turned;
    if (value > largest) {
      largest = value;
      place = i;
    }
  }
  return place;
}

static uint32_t largest_of_16(const uint8_t *x, uint32_t classes, uint32_t turned) {
  uint32_t place = 0, largest = kq_load_u16(x) ^ turned;
  for (uint32_t i = 1; i < classes; ++i) {
    const uint32_t value = kq_load_u16(x + (size_t)i * 2) ^ turned;
    if (value > largest) {
      largest = value;
      place = i;
    }
  }
  return place;
}

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *x = op->input[KQ_ARGMAX_INPUT], *y = op->output;
  const kq_writer write = kq_writer_of(y->type);
  const uint32_t classes = x->shape[x->rank - 1], bytes = kq_value_bytes(x->type);
  const uint32_t turned = kq_min_int(x->type) == 0 ? 0 : 1u << (8 * bytes - 1);
  const uint8_t *x_data = kq_input_data(op, KQ_ARGMAX_INPUT, arena);
  uint8_t *y_data = kq_output_data(op, arena);
  for (uint32_t i = 0; i < y->elements; ++i) {
    const uint8_t *row = x_data + (size_t)i * classes * bytes;
    const uint32_t place = bytes == 1 ? largest_of_8(row, classes, turned) : largest_of_16(row, classes, turned);
    write(y_data, i, (int32_t)kq_clamp(place, op->low.fixed, op->high.fixed));
  }
}

const kq_kernel kq_argmax = {
    .name = "kq_argmax",
    .kind = KQ_ARGMAX,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_is_fixed_throughout,
    .run = run,
};
