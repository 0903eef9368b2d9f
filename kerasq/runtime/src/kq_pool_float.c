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

/* The sum is exact in integers and, for the sums of at most 2^24 floats that there can be, in a double nearly so; the quotient
 * of doubles is rounded to float32 once (kerasq/ops/pooling.py says why that is the exact quotient's rounding for integers). */
static void compute_average(const kq_operator *op, const kq_pixel *pixel) {
  const kq_tensor *x = op->input[0];
  for (uint32_t channel = 0; channel < op->output->shape[3]; ++channel) {
    int64_t sum = 0;
    double float_sum = 0;
    for (uint32_t row = pixel->rows.begin; row < pixel->rows.end; ++row) {
      for (uint32_t column = pixel->columns.begin; column < pixel->columns.end; ++column) {
        const uint32_t place = kq_pool_place(op, pixel, row, column) + channel;
        if (op->is_integer) {
          sum += kq_stored(x->type, pixel->input, place);
        } else {
          float_sum += (double)kq_value(x, pixel->input, place);
        }
      }
    }
    const double mean = (op->is_integer ? (double)sum : float_sum) / (double)kq_valid_taps(pixel);
    const double scale = op->is_integer ? kq_power_of_two(-x->frac_bits) : 1.0;
    kq_put_float(op, pixel->output, pixel->first + channel, (float)(mean * scale));
  }
}

static void run_max(const kq_operator *op, uint8_t *arena) { kq_each_pixel(op, arena, compute_max); }
static void run_average(const kq_operator *op, uint8_t *arena) { kq_each_pixel(op, arena, compute_average); }

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
