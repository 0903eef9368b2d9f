/* Pooling of FLOAT32 values, and averages that become FLOAT32. */
#include "kq_float.h"
#include "kq_pool.h"

/* A NaN among the values is the largest. */
static void compute_max(const kq_operator *op, const kq_pixel *pixel) {
  for (uint32_t channel = 0; channel < op->output->shape[3]; ++channel) {
    float largest = 0;
    bool any = false;
    for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
      for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column) {
        const size_t place = (size_t)kq_pool_place(op, pixel, row, column) + channel;
        const float value = kq_load_f32(pixel->input + place * 4);
        if (!any || value > largest || value != value) largest = value;
        any = true;
      }
    }
    kq_put_float(op, pixel->output, pixel->first + channel, largest);
  }
}

/* The exact sum of stored integers, as a double. */
static double integer_sum(const kq_operator *op, const kq_pixel *pixel, uint32_t channel) {
  int64_t sum = 0;
  for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
    for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column) {
      sum += pixel->read(pixel->input, kq_pool_place(op, pixel, row, column) + channel);
    }
  }
  return (double)sum;
}

static double float_sum(const kq_operator *op, const kq_pixel *pixel, uint32_t channel) {
  double sum = 0;
  for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
    for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column) {
      sum += (double)kq_load_f32(pixel->input + 4 * ((size_t)kq_pool_place(op, pixel, row, column) + channel));
    }
  }
  return sum;
}

/* The sum is exact in integers and, for the sums of at most 2^24 floats that there can be, in a double nearly so; the quotient
 * of doubles is rounded to float32 once (kerasq/ops/pooling.py says why that is the exact quotient's rounding for integers). */
static void compute_average(const kq_operator *op, const kq_pixel *pixel) {
  const double taps = (double)kq_valid_taps(pixel), scale = kq_power_of_two(-op->input[0]->frac_bits);
  for (uint32_t channel = 0; channel < op->output->shape[3]; ++channel) {
    const double mean = (op->is_integer ? integer_sum : float_sum)(op, pixel, channel) / taps;
    kq_put_float(op, pixel->output, pixel->first + channel, (float)(mean * scale));
  }
}

static void run_max(const kq_operator *op, uint8_t *arena) { kq_each_pixel(op, arena, compute_max, NULL); }
static void run_average(const kq_operator *op, uint8_t *arena) { kq_each_pixel(op, arena, compute_average, NULL); }

const kq_kernel kq_max_pool_2d_float = {
    .name = "kq_max_pool_2d_float",
    .kind = KQ_MAX_POOL_2D,
    .input_type = KQ_FLOAT32,
    .weight_type = KQ_ANY,
    .accumulator_bits = 0,
    .run = run_max,
};
const kq_kernel kq_average_pool_2d_mixed = {
    .name = "kq_average_pool_2d_mixed",
    .kind = KQ_AVERAGE_POOL_2D,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = kq_has_float,
    .run = run_average,
};
KQ_FORMER_NAME(kq_average_pool_2d_float, kq_average_pool_2d_mixed)
