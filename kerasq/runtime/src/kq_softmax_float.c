/* SOFTMAX over the last axis in float. */
#include "kq_float.h"

/* e^(score - largest); the difference is rounded to float32, as the definition has it. */
static double exponential(const kq_operator *op, const uint8_t *x, uint32_t i, float largest) {
  const float difference = kq_value(op->input[0], x, i) - largest;
  return kq_exp((double)difference);
}

static void row_softmax(const kq_operator *op, const uint8_t *x, uint8_t *y, uint32_t first, uint32_t end) {
  float largest = kq_value(op->input[0], x, first);
  for (uint32_t i = first; i < end; ++i) {
    const float score = kq_value(op->input[0], x, i);
    if (score > largest || score != score) largest = score;
  }
  double sum = 0;
  for (uint32_t i = first; i < end; ++i) sum += exponential(op, x, i, largest);
  for (uint32_t i = first; i < end; ++i) kq_put_float(op, y, i, (float)(exponential(op, x, i, largest) / sum));
}

static void run(const kq_operator *op, uint8_t *arena) {
  const uint32_t classes = op->output->shape[op->output->rank - 1];
  for (uint32_t first = 0; first < op->output->elements; first += classes) {
    row_softmax(op, kq_input_data(op, 0, arena), kq_output_data(op, arena), first, first + classes);
  }
}

const kq_kernel kq_softmax_float = {
    .name = "kq_softmax_float",
    .kind = KQ_SOFTMAX,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = 0,
    .run = run,
};
