/* MAX_POOL_2D and AVERAGE_POOL_2D of 8-bit values, four channels at a time. Signed values are raised by 128, which makes them
 * unsigned ones in the same order. The four channels of a window are read before they are written. */
#include "../kq_pool.h"
#include "kq_arm_finish.h"

enum { QUAD = 4, MOST_TAPS = 256 /* whose sum fits 16 bits */ };

/* The valid taps of a window, four channels of them: rows of neighbouring words. */
typedef struct {
  const uint8_t *first;
  uint32_t rows, columns;
  size_t next_row, next_column;
  uint32_t raise; /* what makes values unsigned */
} window;

typedef uint32_t (*pool)(const kq_operator *op, const window *taps);

static bool accepts(const kq_operator *op) {
  return kq_is_fixed_throughout(op) && kq_bits(op->input[0]->type) == 8 && kq_bits(op->output->type) == 8 &&
         op->output->shape[3] % QUAD == 0;
}

static void run(const kq_operator *op, uint8_t *arena) {
  const pool compute = (pool)op->kernel->inner;
  const kq_tensor *x = op->input[0];
  const uint32_t *shape = op->output->shape, channels = shape[3];
  const size_t line = (size_t)x->shape[2] * channels;
  uint8_t *y = kq_output_data(op, arena);
  window taps = {.next_row = line, .next_column = channels, .raise = kq_arm_raise(x)};
  for (uint32_t row = 0; row < shape[1]; ++row) {
    const kq_span rows = kq_look(op, 0, row);
    taps.rows = rows.end - rows.begin;
    for (uint32_t column = 0; column < shape[2]; ++column) {
      const kq_span columns = kq_look(op, 1, column);
      taps.columns = columns.end - columns.begin;
      taps.first = kq_input_data(op, 0, arena) + kq_tap(op, 0, rows, rows.begin) * line +
                   kq_tap(op, 1, columns, columns.begin) * (size_t)channels;
      for (const uint8_t *const end = y + channels; y != end; y += QUAD, taps.first += QUAD) kq_store_word(y, compute(op, &taps));
    }
  }
  kq_arm_limit(op, arena);
}

static uint32_t largest(const kq_operator *op, const window *taps) {
  (void)op;
  const uint8_t *row = taps->first;
  uint32_t most = 0;
  if (KQ_UNROLL(taps->rows == 2 && taps->columns == 2, false)) { /* most often */
    const uint8_t *next = row + taps->next_row;
    const uint32_t upper = kq_larger_bytes(kq_load_word(row) ^ taps->raise, kq_load_word(row + taps->next_column) ^ taps->raise);
    const uint32_t lower = kq_larger_bytes(kq_load_word(next) ^ taps->raise, kq_load_word(next + taps->next_column) ^ taps->raise);
    return kq_larger_bytes(upper, lower);
  }
  for (uint32_t rows = taps->rows; rows > 0; --rows, row += taps->next_row) {
    const uint8_t *tap = row;
    for (uint32_t columns = taps->columns; columns > 0; --columns, tap += taps->next_column) {
      most = kq_larger_bytes(most, kq_load_word(tap) ^ taps->raise);
    }
  }
  return most; /* raised, as kq_arm_limit takes it */
}

/* Of channels 0 and 2, and 1 and 3, as halfwords. */
typedef struct {
  uint32_t even, odd;
} sums;

static sums sums_of(const window *taps) {
  const uint8_t *row = taps->first;
  sums s = {0, 0};
  for (uint32_t rows = taps->rows; rows > 0; --rows, row += taps->next_row) {
    const uint8_t *tap = row;
    for (uint32_t columns = taps->columns; columns > 0; --columns, tap += taps->next_column) {
      const uint32_t word = kq_load_word(tap) ^ taps->raise;
      s.even += kq_even_bytes(word, false);
      s.odd += kq_odd_bytes(word, false);
    }
  }
  return s;
}

static int32_t clamp(int32_t a, int32_t low, int32_t high) { return a < low ? low : a > high ? high : a; }

/* kq_average_pool.c has the formula; here both fit 32 bits. */
static uint32_t average(const kq_operator *op, const window *taps) {
  const int k = op->input[0]->frac_bits - op->output->frac_bits;
  const int32_t count = (int32_t)(taps->rows * taps->columns), denominator = count * (1 << (k > 0 ? k : 0));
  const int32_t factor = 2 << (k < 0 ? -k : 0), raised = taps->raise != 0 ? 128 * count : 0;
  const sums s = sums_of(taps);
  const int32_t each[QUAD] = {(int32_t)(s.even & 0xFFFFu), (int32_t)(s.odd & 0xFFFFu), (int32_t)(s.even >> 16), (int32_t)(s.odd >> 16)};
  uint32_t word = 0;
  for (uint32_t i = 0; i < QUAD; ++i) {
    const int32_t numerator = (each[i] - raised) * factor + denominator, divisor = 2 * denominator;
    const int32_t mean = numerator / divisor - (numerator % divisor < 0 ? 1 : 0);
    word |= ((uint32_t)clamp(mean, op->low.fixed, op->high.fixed) & 0xFFu) << (8 * i);
  }
  return word ^ kq_arm_raise(op->output);
}

static bool accepts_average(const kq_operator *op) {
  return op->accumulator_bits == 32 && (uint32_t)op->window[0] * op->window[1] <= MOST_TAPS && accepts(op);
}

const kq_kernel kq_max_pool_2d_dsp = {
    .name = "kq_max_pool_2d_dsp",
    .kind = KQ_MAX_POOL_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = accepts,
    .run = run,
    .inner = (void (*)(void))largest,
};

const kq_kernel kq_average_pool_2d_dsp = {
    .name = "kq_average_pool_2d_dsp",
    .kind = KQ_AVERAGE_POOL_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = accepts_average,
    .run = run,
    .inner = (void (*)(void))average,
};
