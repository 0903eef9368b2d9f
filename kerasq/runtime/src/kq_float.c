#include "kq_float.h"

double kq_power_of_two(int places) {
  const uint64_t bits = (uint64_t)(1023 + places) << 52; /* IEEE binary64: sign 0, biased exponent, fraction 0 */
  double power;
  memcpy(&power, &bits, sizeof power);
  return power;
}

kq_values kq_values_of(const kq_tensor *tensor) {
  const kq_values values = {.read = kq_reader_of(tensor->type), .scale = kq_power_of_two(-tensor->frac_bits)};
  return values;
}

float kq_value(const kq_values *values, const uint8_t *data, uint32_t i) {
  if (values->read == NULL) return kq_load_f32(data + (size_t)i * 4);
  return (float)((double)values->read(data, i) * values->scale);
}

/* Up to 2^53 a double holds the integer, and scaled it is exact (places reach down to about -190). Beyond, the lowest 11 bits
 * are replaced by one sticky bit: 52 bits remain, exact in a double and at least 2 more than float32 keeps, so that the sticky
 * bit decides every tie as the integer itself would (rounding to odd). */
float kq_scaled_float(int64_t integer, int places) {
  const int64_t exact = (int64_t)1 << 53;
  if (integer >= exact || integer <= -exact) {
    const int64_t high = kq_shift_floor(integer, 11);
    integer = (high | (high * 2048 != integer ? 1 : 0)) * 2048;
  }
  return (float)((double)integer * kq_power_of_two(places));
}

/* floor(v + 1/2) is floor(v), plus one where the rest is a half or more: the rest is exact, while v + 1/2 may round. */
static int32_t quantized(const kq_operator *op, float value) {
  const double scaled = (double)value * kq_power_of_two(op->output->frac_bits);
  int32_t whole;
  if (scaled != scaled) {
    whole = 0;
  } else if (scaled <= -1e6 || scaled >= 1e6) { /* beyond every stored range */
    whole = scaled < 0 ? kq_min_int(op->output->type) : kq_max_int(op->output->type);
  } else {
    whole = (int32_t)scaled;
    if (scaled < (double)whole) --whole; /* the cast cuts towards zero */
    if (scaled - (double)whole >= 0.5) ++whole;
  }
  return (int32_t)kq_clamp(whole, op->low.fixed, op->high.fixed);
}

void kq_put_float(const kq_operator *op, uint8_t *output, uint32_t i, float value) {
  if (op->output->type != KQ_FLOAT32) {
    kq_writer_of(op->output->type)(output, i, quantized(op, value));
    return;
  }
  if (op->has_clamp) value = value < op->low.real ? op->low.real : value > op->high.real ? op->high.real : value; /* keeps NaN */
  kq_store_f32(output + (size_t)i * 4, value);
}

kq_float_totals kq_float_totals_of(const kq_operator *op, const uint8_t *arena) {
  const kq_tensor *multiplier = op->input[KQ_MULTIPLIER], *bias = op->input[KQ_BIAS], *addend = op->input[KQ_ADDEND];
  kq_float_totals totals = {.multiplier = NULL};
  if (multiplier != NULL) totals.multiplier = multiplier->data, totals.multipliers = kq_values_of(multiplier);
  if (bias != NULL) totals.bias = bias->data, totals.biases = kq_values_of(bias);
  if (addend != NULL && arena != NULL) totals.addend = arena + addend->offset, totals.addends = kq_values_of(addend);
  return totals;
}

float kq_float_total(const kq_float_totals *totals, uint32_t channel, uint32_t place, float sum) {
  if (totals->multiplier != NULL) sum *= kq_value(&totals->multipliers, totals->multiplier, channel);
  if (totals->bias != NULL) sum += kq_value(&totals->biases, totals->bias, channel);
  return totals->addend == NULL ? sum : sum + kq_value(&totals->addends, totals->addend, place);
}

/* e^x = 2^k * e^r with k = round(x / ln 2) and |r| <= ln(2) / 2; ln 2 in two parts, the first of 32 bits, keeps r exact. The
 * Taylor series of e^r to r^13 is off by less than r^14 / 14! = 4e-18. */
double kq_exp(double x) {
  if (x != x) return x;
  if (x < -708.0) return 0.0;
  const int k = (int)(x * 1.4426950408889634 - 0.5);
  const double r = (x - k * 0.69314718036912382) - k * 1.9082149292705877e-10;
  double term = 1.0, sum = 1.0;
  for (int i = 1; i <= 13; ++i) {
    term *= r / i;
    sum += term;
  }
  return sum * kq_power_of_two(k);
}
