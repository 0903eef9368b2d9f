/* LOOKUP: any function of one value, from a table of stored outputs: an entry for each 8-bit value, or 513 knots between which
 * the low 7 bits of a 16-bit value interpolate. */
#include "kq_arithmetic.h"

enum { LOW_BITS = 7 };

static int32_t between_knots(kq_reader read, const uint8_t *table, uint32_t place) {
  const uint32_t knot = place >> LOW_BITS;
  const int32_t low = (int32_t)(place & ((1u << LOW_BITS) - 1));
  const int32_t below = read(table, knot), above = read(table, knot + 1);
  return below + (int32_t)kq_shift_floor((above - below) * low + (1 << (LOW_BITS - 1)), LOW_BITS);
}

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *x = op->input[KQ_LOOKUP_INPUT], *table = op->input[KQ_LOOKUP_TABLE], *y = op->output;
  const kq_reader read = kq_reader_of(x->type), read_table = kq_reader_of(table->type);
  const kq_writer write = kq_writer_of(y->type);
  const uint8_t *x_data = kq_input_data(op, KQ_LOOKUP_INPUT, arena);
  uint8_t *y_data = kq_output_data(op, arena);
  const int32_t first = kq_min_int(x->type);
  const bool wide = kq_bits(x->type) == 16;
  for (uint32_t i = 0; i < y->elements; ++i) {
    const uint32_t place = (uint32_t)(read(x_data, i) - first);
    const int32_t value = wide ? between_knots(read_table, table->data, place) : read_table(table->data, place);
    write(y_data, i, (int32_t)kq_clamp(value, op->low.fixed, op->high.fixed));
  }
}

const kq_kernel kq_lookup = {
    .name = "kq_lookup",
    .kind = KQ_LOOKUP,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .run = run,
};
