/* TRANSPOSE of runs of few bytes, and SOFTMAX, for x86-64: loops that know at compile time what a call would ask for each value. */
#include "../kq_transpose.h"
#include "kq_simd.h"

/* ---- TRANSPOSE ---- */

static void run_transpose(const kq_operator *op, uint8_t *arena) {
  switch (kq_run_of(op)) {
    case 1: kq_swap_runs(op, arena, 1); break;
    case 2: kq_swap_runs(op, arena, 2); break;
    case 4: kq_swap_runs(op, arena, 4); break;
    case 8: kq_swap_runs(op, arena, 8); break;
    case 16: kq_swap_runs(op, arena, 16); break;
    case 32: kq_swap_runs(op, arena, 32); break;
    default: kq_swap_runs(op, arena, 64); break;
  }
}

static bool accepts_transpose(const kq_operator *op) {
  const size_t run = kq_run_of(op);
  return kq_has_fixed_output(op) && !op->has_clamp && run <= 64 && (run & (run - 1)) == 0;
}

/* ---- SOFTMAX ---- */

enum { CLASSES = 1024 };

/* floor(a / b + 1/2) as floor((2 a + b) / 2 b): both are integers below 2^53, and a quotient below 2^18 that is not an integer is
 * further from the next one than a rounding of doubles, 1 / 2 b >= 2^-33, as the integer kernel's bounds say. */
KQ_INLINE int32_t share_of(uint32_t e, uint32_t sum, int frac_bits) {
  const double numerator = (double)(((uint64_t)e << (frac_bits + 1)) + sum);
  return (int32_t)(numerator / (2.0 * (double)sum));
}

/* Score number i in the order of its type, from 0 on. */
KQ_INLINE uint32_t score(const uint8_t *x, uint32_t i, uint32_t bytes, uint32_t flip) {
  return (bytes == 1 ? x[i] : kq_load_u16(x + 2 * (size_t)i)) ^ flip;
}

/* e^-distance: see kq_softmax.c. */
KQ_INLINE uint32_t exponential(const uint8_t *table, uint32_t distance, uint32_t bytes) {
  if (bytes == 1) return kq_load_u16(table + 2 * (size_t)distance);
  const uint32_t high = kq_load_u16(table + 2 * (size_t)(distance >> 8));
  const uint32_t low = kq_load_u16(table + 2 * (size_t)(256 + (distance & 255)));
  return (high * low + (1u << 14)) >> 15;
}

/* `bytes` of a score are known when it is compiled. */
KQ_INLINE void softmax_row(const kq_operator *op, const uint8_t *x, uint8_t *y, uint32_t classes, uint32_t bytes) {
  const uint8_t *table = op->input[KQ_SOFTMAX_TABLE]->data;
  const uint32_t flip = (uint32_t)-kq_min_int(op->input[KQ_SOFTMAX_INPUT]->type);
  const bool narrow = kq_value_bytes(op->output->type) == 1;
  const int frac_bits = op->output->frac_bits;
  uint16_t e[CLASSES];
  uint32_t sum = 0, largest = 0;
  for (uint32_t i = 0; i < classes; ++i) {
    const uint32_t value = score(x, i, bytes, flip);
    if (value > largest) largest = value;
  }
  for (uint32_t i = 0; i < classes; ++i) {
    e[i] = (uint16_t)exponential(table, largest - score(x, i, bytes, flip), bytes);
    sum += e[i];
  }
  for (uint32_t i = 0; i < classes; ++i) {
    const int32_t value = (int32_t)kq_clamp(share_of(e[i], sum, frac_bits), op->low.fixed, op->high.fixed);
    if (narrow) {
      y[i] = (uint8_t)value;
    } else {
      kq_store_16_bits(y + 2 * (size_t)i, value);
    }
  }
}

static void run_softmax(const kq_operator *op, uint8_t *arena) {
  const uint32_t classes = op->output->shape[op->output->rank - 1], bytes = kq_value_bytes(op->input[KQ_SOFTMAX_INPUT]->type);
  const size_t x_step = (size_t)classes * bytes, y_step = (size_t)classes * kq_value_bytes(op->output->type);
  const uint8_t *x = kq_input_data(op, KQ_SOFTMAX_INPUT, arena);
  uint8_t *y = kq_output_data(op, arena);
  for (uint32_t first = 0; first < op->output->elements; first += classes, x += x_step, y += y_step) {
    if (bytes == 1) {
      softmax_row(op, x, y, classes, 1);
    } else {
      softmax_row(op, x, y, classes, 2);
    }
  }
}

static bool accepts_softmax(const kq_operator *op) {
  return op->is_integer && op->output->shape[op->output->rank - 1] <= CLASSES;
}

const kq_kernel kq_transpose_avx2 = {
    .name = "kq_transpose_avx2",
    .kind = KQ_TRANSPOSE,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = accepts_transpose,
    .run = run_transpose,
};
const kq_kernel kq_softmax_avx2 = {
    .name = "kq_softmax_avx2",
    .kind = KQ_SOFTMAX,
    .input_type = KQ_ANY,
    .weight_type = KQ_UFIXED16,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = accepts_softmax,
    .run = run_softmax,
};
