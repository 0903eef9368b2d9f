/* ADD of 8-bit values, four at a time: each sum is one product of two pairs.
 *
 * As unsigned bytes, signed ones 128 too large, a 2^p + b 2^q needs no extension of signs; what that adds is taken off the start. */
#include "kq_arm_finish.h"

enum { MOST_PLACES = 14, MOST_SHIFT = 22 }; /* factors fit halfwords; sums, halves and what makes outputs unsigned 31 bits */

typedef struct {
  uint32_t raise_a, raise_b; /* makes bytes unsigned */
  uint32_t factors;          /* 2^p, and 2^q in the high half */
  int32_t start;
  int shift;
} sums;

static int finer(const kq_operator *op) {
  const int a = op->input[KQ_ADD_FIRST_INPUT]->frac_bits, b = op->input[KQ_ADD_SECOND_INPUT]->frac_bits;
  return a > b ? a : b;
}

static bool accepts(const kq_operator *op) {
  const kq_tensor *a = op->input[KQ_ADD_FIRST_INPUT], *b = op->input[KQ_ADD_SECOND_INPUT];
  const int frac_bits = finer(op), shift = frac_bits - op->output->frac_bits;
  return kq_bits(a->type) == 8 && kq_bits(b->type) == 8 && kq_bits(op->output->type) == 8 &&
         frac_bits - a->frac_bits <= MOST_PLACES && frac_bits - b->frac_bits <= MOST_PLACES && shift >= 0 && shift <= MOST_SHIFT;
}

static sums sums_of(const kq_operator *op) {
  const kq_tensor *a = op->input[KQ_ADD_FIRST_INPUT], *b = op->input[KQ_ADD_SECOND_INPUT];
  const int frac_bits = finer(op), shift = frac_bits - op->output->frac_bits;
  const int32_t left = (int32_t)1 << (frac_bits - a->frac_bits), right = (int32_t)1 << (frac_bits - b->frac_bits);
  sums s = {.raise_a = kq_arm_raise(a), .raise_b = kq_arm_raise(b), .shift = shift};
  s.factors = (uint32_t)left | (uint32_t)right << 16;
  s.start = shift > 0 ? (int32_t)1 << (shift - 1) : 0;
  if (op->output->type == KQ_FIXED8) s.start += (int32_t)128 << shift;
  if (s.raise_a != 0) s.start -= 128 * left;
  if (s.raise_b != 0) s.start -= 128 * right;
  return s;
}

static uint32_t output_of(const sums *s, uint32_t pair) {
  const int32_t sum = kq_smlad(pair, s->factors, s->start);
  return kq_usat8(sum < 0 ? 0 : sum >> s->shift); /* negative ones are saturated to 0, and so are they shifted */
}

static uint32_t four(const sums *s, uint32_t a, uint32_t b) {
  a ^= s->raise_a;
  b ^= s->raise_b;
  const uint32_t even_a = kq_even_bytes(a, false), odd_a = kq_odd_bytes(a, false);
  const uint32_t even_b = kq_even_bytes(b, false), odd_b = kq_odd_bytes(b, false);
  return output_of(s, kq_low_halves(even_a, even_b)) | output_of(s, kq_low_halves(odd_a, odd_b)) << 8 |
         output_of(s, kq_high_halves(even_a, even_b)) << 16 | output_of(s, kq_high_halves(odd_a, odd_b)) << 24;
}

/* The output may lie over either input: values are read before they are written, and those behind them later. */
static void run(const kq_operator *op, uint8_t *arena) {
  const sums s = sums_of(op);
  const uint8_t *a = kq_input_data(op, KQ_ADD_FIRST_INPUT, arena), *b = kq_input_data(op, KQ_ADD_SECOND_INPUT, arena);
  uint8_t *y = kq_output_data(op, arena);
  for (uint32_t words = op->output->elements / 4; words > 0; --words, a += 4, b += 4, y += 4) {
    kq_store_word(y, four(&s, kq_load_word(a), kq_load_word(b)));
  }
  for (uint32_t bytes = op->output->elements % 4; bytes > 0; --bytes) *y++ = (uint8_t)four(&s, *a++, *b++);
  kq_arm_limit(op, arena);
}

const kq_kernel kq_add_dsp = {
    .name = "kq_add_dsp",
    .kind = KQ_ADD,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = accepts,
    .run = run,
};
