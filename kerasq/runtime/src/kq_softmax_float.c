/* SOFTMAX over the last axis in float. */
#include "kq_float.h"

/* The scores of an example. */
typedef struct {
  kq_values values;
  const uint8_t *data;
} scores;

static float score_of(const scores *x, uint32_t i) { return kq_value(&x->values, x->data, i); }

/* e^(score - largest); the difference is rounded to float32, as the definition has it. */
static double exponential(const scores *x, uint32_t i, float largest) {
  const float difference = score_of(x, i) - largest;
  return kq_exp((double)difference);
}

static void row_softmax(const kq_operator *op, const scores *x, uint8_t *y, uint32_t first, uint32_t end) {
  float largest = score_of(x, first);
  for (uint32_t i = first; i < end; ++i) {
    const float score = score_of(x, i);
    if (score > largest || score != score) largest = score;
  }
  double sum = 0;
  for (uint32_t i = first; i < end; ++i) sum += exponential(x, i, largest);
  for (uint32_t i = first; i < end; ++i) kq_put_float(op, y, i, (float)(exponential(x, i, largest) / sum));
}

static void run(const kq_operator *op, uint8_t *arena) {
  const scores x = {.values = kq_values_of(op->input[0]), .data = kq_input_data(op, 0, arena)};
  const uint32_t classes = op->output->shape[op->output->rank - 1];
  for (uint32_t first = 0; first < op->output->elements; first += classes) {
    row_softmax(op, &x, kq_output_data(op, arena), first, first + classes);
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
