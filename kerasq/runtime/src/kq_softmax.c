/* SOFTMAX over the last axis in integers, with a table of exponentials of 15 fractional bits. */
#include "kq_arithmetic.h"

/* e^-distance: an entry for 8-bit scores, the product of two for 16 bits. */
static uint32_t exponential(const kq_operator *op, bool narrow, uint32_t distance) {
  const uint8_t *table = op->input[KQ_SOFTMAX_TABLE]->data;
  if (narrow) return kq_load_u16(table + (size_t)distance * 2);
  const uint32_t high = kq_load_u16(table + (size_t)(distance >> 8) * 2);
  const uint32_t low = kq_load_u16(table + (size_t)(256 + (distance & 255)) * 2);
  return (high * low + (1u << 14)) >> 15;
}

/* floor(a / b) below 2^18, as e never exceeds the sum: by subtraction where either needs 64 bits, for which small processors have no
 * division. */
static uint32_t quotient(uint64_t a, uint64_t b, uint8_t bits) {
  uint32_t q = 0;
  if (bits == 32) return (uint32_t)a / (uint32_t)b;
  for (int place = 17; place >= 0; --place) {
    if (a < b << place) continue;
    a -= b << place;
    q |= 1u << place;
  }
  return q;
}

static void row_softmax(const kq_operator *op, const uint8_t *x, uint8_t *y, uint32_t first) {
  const uint32_t classes = op->output->shape[op->output->rank - 1], end = first + classes;
  const uint8_t type = op->input[KQ_SOFTMAX_INPUT]->type;
  const bool narrow = kq_bits(type) == 8;
  const kq_reader read = kq_reader_of(type);
  const kq_writer write = kq_writer_of(op->output->type);
  int32_t largest = kq_min_int(type);
  for (uint32_t i = first; i < end; ++i) {
    const int32_t score = read(x, i);
    if (score > largest) largest = score;
  }
  uint32_t sum = 0; /* at most 65,536 classes of at most 2^15 each */
  for (uint32_t i = first; i < end; ++i) sum += exponential(op, narrow, (uint32_t)(largest - read(x, i)));
  for (uint32_t i = first; i < end; ++i) {
    const uint32_t e = exponential(op, narrow, (uint32_t)(largest - read(x, i)));
    const uint64_t numerator = ((uint64_t)e << (op->output->frac_bits + 1)) + sum, denominator = 2 * (uint64_t)sum;
    const uint32_t p = quotient(numerator, denominator, op->accumulator_bits);
    write(y, i, (int32_t)kq_clamp(p, op->low.fixed, op->high.fixed));
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  const uint32_t classes = op->output->shape[op->output->rank - 1];
  for (uint32_t first = 0; first < op->output->elements; first += classes) {
    row_softmax(op, kq_input_data(op, KQ_SOFTMAX_INPUT, arena), kq_output_data(op, arena), first);
  }
}

static bool accepts(const kq_operator *op) { return op->is_integer; }

const kq_kernel kq_softmax = {
    .name = "kq_softmax",
    .kind = KQ_SOFTMAX,
    .input_type = KQ_ANY,
    .weight_type = KQ_UFIXED16,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = accepts,
    .run = run,
};
