/* LOOKUP from 8 bits to 8 bits, four values at a time. */
#include "kq_arm_finish.h"

static bool accepts(const kq_operator *op) {
  return kq_bits(op->input[KQ_LOOKUP_INPUT]->type) == 8 && kq_bits(op->output->type) == 8;
}

/* The output may lie over the input: four values are read before they are written, and those behind them later. */
static void run(const kq_operator *op, uint8_t *arena) {
  const uint8_t *const table = op->input[KQ_LOOKUP_TABLE]->data, *x = kq_input_data(op, KQ_LOOKUP_INPUT, arena);
  const uint32_t raise = kq_arm_raise(op->input[KQ_LOOKUP_INPUT]); /* a table begins with the entry of the least value */
  uint8_t *y = kq_output_data(op, arena);
  for (uint32_t words = op->output->elements / 4; words > 0; --words, x += 4, y += 4) {
    const uint32_t word = kq_load_word(x) ^ raise;
    kq_store_word(y, table[word & 0xFFu] | (uint32_t)table[word >> 8 & 0xFFu] << 8 |
                         (uint32_t)table[word >> 16 & 0xFFu] << 16 | (uint32_t)table[word >> 24] << 24);
  }
  for (uint32_t bytes = op->output->elements % 4; bytes > 0; --bytes) *y++ = table[*x++ ^ (raise & 0xFFu)];
  kq_clamp_all(op, kq_output_data(op, arena));
}

const kq_kernel kq_lookup_dsp = {
    .name = "kq_lookup_dsp",
    .kind = KQ_LOOKUP,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = accepts,
    .run = run,
};
