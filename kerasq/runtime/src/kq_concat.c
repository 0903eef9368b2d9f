/* CONCAT in integers: inputs side by side along the last axis, each requantized into the output's format. */
#include "kq_arithmetic.h"

/* One input's channels of every pixel, from channel `first` of the output on. */
static void place(const kq_operator *op, const kq_tensor *x, const uint8_t *x_data, uint8_t *y_data, uint32_t first) {
  const kq_tensor *y = op->output;
  const kq_reader read = kq_reader_of(x->type);
  const kq_writer write = kq_writer_of(y->type);
  const uint32_t channels = x->shape[x->rank - 1], all = y->shape[y->rank - 1];
  const int shift = x->frac_bits - y->frac_bits;
  const bool moves = shift == 0 && x->type == y->type && !op->has_clamp;
  const size_t bytes = kq_value_bytes(y->type);
  for (uint32_t from = 0, to = first; from < x->elements; from += channels, to += all) {
    if (moves) {
      memcpy(y_data + to * bytes, x_data + from * bytes, channels * bytes);
      continue;
    }
    for (uint32_t i = 0; i < channels; ++i) {
      write(y_data, to + i, kq_requantize(read(x_data, from + i), shift, op->low.fixed, op->high.fixed));
    }
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  uint32_t first = 0;
  for (uint32_t i = 0; i < op->inputs; ++i) {
    place(op, op->input[i], kq_input_data(op, i, arena), kq_output_data(op, arena), first);
    first += op->input[i]->shape[op->input[i]->rank - 1];
  }
}

const kq_kernel kq_concat = {
    .name = "kq_concat",
    .kind = KQ_CONCAT,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_is_fixed_throughout,
    .run = run,
};
