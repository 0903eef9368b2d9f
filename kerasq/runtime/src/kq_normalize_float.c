/* NORMALIZE in float. */
#include "kq_float.h"
#include "kq_normalize.h"

/* sqrt(d) for d >= 0 by Newton's iteration, from a beginning with half the exponent that is off by less than a half: six steps
 * square the error down to the last bits. NaN and infinity for themselves. */
static double root_of(double d) {
  uint64_t bits;
  memcpy(&bits, &d, sizeof bits);
  if (d == 0 || bits >> 52 >= 0x7FF) return d;
  bits = (bits >> 1) + ((uint64_t)0x3FF << 51);
  double root;
  memcpy(&root, &bits, sizeof root);
  for (int step = 0; step < 6; ++step) root = (root + d / root) / 2;
  return root;
}

/* The mean of the values less `origin`, or of the squares of that. */
static double mean_of(const kq_runs *runs, const kq_values *values, const uint8_t *x, uint32_t first, double origin, bool squared) {
  double sum = 0;
  for (uint32_t pixel = first; pixel < first + runs->pixels * runs->step; pixel += runs->step) {
    for (uint32_t i = pixel; i < pixel + runs->channels; ++i) {
      const double difference = (double)kq_value(values, x, i) - origin;
      sum += squared ? difference * difference : difference;
    }
  }
  return sum / runs->count;
}

static void normalize(const kq_operator *op, const kq_runs *runs, const kq_values *values, uint8_t *arena, uint32_t first) {
  const uint8_t *x = kq_input_data(op, KQ_NORMALIZE_INPUT, arena);
  const kq_tensor *epsilon = op->input[KQ_NORMALIZE_EPSILON];
  const kq_values epsilons = kq_values_of(epsilon);
  const double mean = op->is_centered ? mean_of(runs, values, x, first, 0, false) : 0;
  const double divisor = root_of(mean_of(runs, values, x, first, mean, true) + (double)kq_value(&epsilons, epsilon->data, 0));
  for (uint32_t pixel = first; pixel < first + runs->pixels * runs->step; pixel += runs->step) {
    for (uint32_t i = pixel; i < pixel + runs->channels; ++i) {
      const double difference = (double)kq_value(values, x, i) - mean;
      kq_put_float(op, kq_output_data(op, arena), i, divisor == 0 ? 0 : (float)(difference / divisor));
    }
  }
}

static void run(const kq_operator *op, uint8_t *arena) {
  const kq_runs runs = kq_runs_of(op);
  const kq_values values = kq_values_of(op->input[KQ_NORMALIZE_INPUT]);
  for (uint32_t block = 0; block < op->output->elements; block += runs.pixels * runs.step) {
    for (uint32_t group = 0; group < runs.groups; ++group) normalize(op, &runs, &values, arena, block + group * runs.channels);
  }
}

const kq_kernel kq_normalize_float = {
    .name = "kq_normalize_float",
    .kind = KQ_NORMALIZE,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = 0,
    .run = run,
};
