/* How sums become outputs, and the constants for it: kq_finish_type in kq_gemm.h. Runs when a model is prepared. */
#include "kq_gemm.h"

#include "../kq_float.h"

/* Integers up to here are float32 values. */
#define EXACT 16777216.0

static int addend_places(const kq_operator *op) {
  return op->input[KQ_ADDEND] == NULL ? 0 : kq_total_frac_bits(op) - op->input[KQ_ADDEND]->frac_bits;
}

static double magnitude(double a) { return a < 0 ? -a : a; }

/* What a channel multiplies its sum by, and adds: the bias and the half that rounds. */
typedef struct {
  double factor, constant;
  double largest_sum; /* of magnitudes, a little rounded up */
} channel_terms;

static channel_terms terms_of(const kq_operator *op, const kq_steps *steps, const kq_totals *totals, uint32_t number,
                              uint32_t lane) {
  const uint32_t channel = steps->block[number].first_channel + lane;
  const double bias = (double)kq_total(totals, channel, 0, 0);
  const channel_terms terms = {
      .factor = (double)kq_total(totals, channel, 0, 1) - bias,
      .constant = bias + (totals->shift > 0 ? kq_power_of_two(totals->shift - 1) : 0.0),
      .largest_sum = (double)kq_from_upper_half(steps->magnitude[number * KQ_LANES + lane]) * kq_max_magnitude(op->input[KQ_X]->type),
  };
  return terms;
}

/* An upper bound of |sum * m + b + r| with the rounding half, over all channels, a little rounded up. */
static double total_bound(const kq_operator *op, const kq_steps *steps) {
  const kq_tensor *r = op->input[KQ_ADDEND];
  const kq_totals totals = kq_totals_of(op, NULL);
  const double largest_r = r == NULL ? 0.0 : kq_max_magnitude(r->type) * kq_power_of_two(addend_places(op));
  const double half = totals.shift > 0 ? kq_power_of_two(totals.shift) : 0.0;
  double bound = 0;
  for (uint32_t number = 0; number < steps->blocks; ++number) {
    for (uint32_t lane = 0; lane < steps->block[number].channels; ++lane) {
      const channel_terms terms = terms_of(op, steps, &totals, number, lane);
      const double total = terms.largest_sum * magnitude(terms.factor) + magnitude(terms.constant) + half + largest_r;
      if (total > bound) bound = total;
    }
  }
  return bound * 1.0001;
}

/* What the copy of the input adds to its values. */
static int32_t input_offset(const kq_operator *op, const kq_gemm *gemm) {
  const uint8_t type = op->input[KQ_X]->type;
  if (!op->is_integer) return 0;
  return type == KQ_UFIXED16 ? -32768 : type == KQ_FLIPPED_BYTES && gemm->step_type == KQ_STEP_U8 ? KQ_FLIP : 0;
}

/* ---- FINISH_FMA ---- */

/* A constant that is no float32 value moves into the sum: c = moved * m + rest, of which the rest is smaller than m. */
static int64_t moved_constant(int64_t constant, int32_t factor) {
  return magnitude((double)constant) <= EXACT || factor == 0 ? 0 : constant / factor;
}

static int places_of_fma(const kq_operator *op, int shift) {
  return op->input[KQ_ADDEND] != NULL && addend_places(op) < shift ? addend_places(op) : shift;
}

static bool is_exact_in_floats(const channel_terms *terms) {
  if (magnitude(terms->constant) > 4e18 || magnitude(terms->factor) > EXACT) return false;
  const int64_t constant = (int64_t)terms->constant, factor = (int64_t)terms->factor;
  const int64_t moved = moved_constant(constant, (int32_t)factor);
  return magnitude((double)(constant - moved * factor)) <= EXACT &&
         terms->largest_sum + magnitude((double)moved) < 0.9999 * EXACT;
}

/* Whether FINISH_FMA gives the exact outputs, see there. Doubles have constants beyond 2^53 rounded: such a constant is not one
 * that can be moved, as the sum would be too large. */
static bool takes_fma(const kq_operator *op, const kq_steps *steps, int shift, double bound) {
  const kq_totals totals = kq_totals_of(op, NULL);
  const double unit = kq_power_of_two(places_of_fma(op, shift));
  if (bound >= unit * (op->input[KQ_ADDEND] == NULL ? kq_power_of_two(31) : EXACT)) return false;
  for (uint32_t number = 0; number < steps->blocks; ++number) {
    for (uint32_t lane = 0; lane < steps->block[number].channels; ++lane) {
      const channel_terms terms = terms_of(op, steps, &totals, number, lane);
      if (!is_exact_in_floats(&terms)) return false;
    }
  }
  return true;
}

/* Start value, factor and offset of lane number i for it. */
static void fill_fma_lane(const kq_operator *op, const kq_gemm *gemm, const kq_totals *totals, uint32_t channel, int64_t weights,
                          uint32_t i) {
  const int shift = totals->shift;
  const double unit = kq_power_of_two(-places_of_fma(op, shift));
  const int32_t factor = totals->multiplier.read(totals->multiplier.data, channel);
  const int64_t constant = kq_total(totals, channel, 0, 0) + (shift > 0 ? (int64_t)1 << (shift - 1) : 0);
  const int64_t moved = moved_constant(constant, factor);
  const uint32_t start = (uint32_t)(0u - (uint64_t)weights * (uint64_t)(int64_t)gemm->input_offset + (uint64_t)moved);
  uint8_t *const scale = (uint8_t *)(uintptr_t)gemm->factor, *const offset = (uint8_t *)(uintptr_t)gemm->offset;
  memcpy((int32_t *)(uintptr_t)gemm->start + i, &start, sizeof start);
  kq_store_f32(scale + 4 * (size_t)i, (float)((double)factor * unit));
  kq_store_f32(offset + 4 * (size_t)i, (float)((double)(constant - moved * factor) * unit));
}

/* ---- The others ---- */

static void fill_floats(const kq_operator *op, uint32_t channel, int32_t *factor, uint8_t *offset) {
  const kq_tensor *m = op->input[KQ_MULTIPLIER], *b = op->input[KQ_BIAS];
  const kq_float_totals totals = kq_float_totals_of(op, NULL);
  kq_store_f32((uint8_t *)factor, m == NULL ? 1.0f : kq_value(&totals.multipliers, m->data, channel));
  kq_store_f32(offset, b == NULL ? 0.0f : kq_value(&totals.biases, b->data, channel));
}

/* Start value, factor and offset of lane number i, whose weights have the sum `weights`: all modulo 2^32 or 2^64. */
static void fill_lane(const kq_gemm *gemm, const kq_totals *totals, uint32_t channel, int64_t weights, uint32_t i) {
  int32_t *start = (int32_t *)(uintptr_t)gemm->start, *factor = (int32_t *)(uintptr_t)gemm->factor;
  int64_t *offset = (int64_t *)(uintptr_t)gemm->offset;
  const uint64_t correction = 0u - (uint64_t)weights * (uint64_t)(int64_t)gemm->input_offset;
  uint64_t constant = (uint64_t)kq_total(totals, channel, 0, 0);
  uint32_t begin = (uint32_t)correction;
  factor[i] = totals->multiplier.data == NULL ? 1 : totals->multiplier.read(totals->multiplier.data, channel);
  /* Where sums are rounded here, the shift is at most 63 by the proof; with KQ_FINISH_ANY it may be anything. */
  if (gemm->finish != KQ_FINISH_ANY && totals->shift > 0) constant += (uint64_t)1 << (totals->shift - 1);
  if (gemm->wide) { /* sums start from 0 */
    begin = 0;
    constant = gemm->finish == KQ_FINISH_ANY ? correction : constant + correction * (uint64_t)(int64_t)factor[i];
  } else if (gemm->finish == KQ_FINISH_32 && !gemm->has_factor) {
    begin += (uint32_t)constant;
  }
  memcpy(&start[i], &begin, sizeof begin);
  memcpy(&offset[i], &constant, sizeof constant);
}

kq_finish_type kq_choose_finish(const kq_operator *op, const kq_steps *steps) {
  const int shift = kq_total_frac_bits(op) - op->output->frac_bits;
  if (!op->is_integer) return KQ_FINISH_FLOAT;
  if (op->output->type == KQ_FLOAT32 || shift < 0) return KQ_FINISH_ANY;
  if (kq_is_wide(op)) return KQ_FINISH_WIDE;
  if (op->total_bits == 32 && op->input[KQ_MULTIPLIER] == NULL && shift < 32) return KQ_FINISH_32;
  const double bound = total_bound(op, steps);
  if (op->input[KQ_MULTIPLIER] != NULL && takes_fma(op, steps, shift, bound)) return KQ_FINISH_FMA;
  if (op->total_bits == 32 && shift < 32) return KQ_FINISH_32;
  if (addend_places(op) > 30) return KQ_FINISH_ANY; /* FINISH_64 multiplies by 2^places, as an int32_t */
  return shift <= 32 && bound < kq_power_of_two(shift + 31) ? KQ_FINISH_64 : KQ_FINISH_ANY;
}

void kq_fill_finish(const kq_operator *op, kq_gemm *gemm, const kq_steps *steps) {
  const kq_totals totals = kq_totals_of(op, NULL);
  gemm->input_offset = input_offset(op, gemm);
  gemm->shift = totals.shift;
  gemm->addend_places = op->is_integer ? addend_places(op) : 0;
  if (gemm->finish == KQ_FINISH_FMA) {
    const int places = places_of_fma(op, totals.shift);
    gemm->shift -= places;
    gemm->addend_places -= gemm->has_addend ? places : 0;
  }
  for (uint32_t number = 0; number < gemm->blocks; ++number) {
    const kq_block *block = &gemm->block[number];
    for (uint32_t lane = 0; lane < block->channels; ++lane) {
      const uint32_t channel = block->first_channel + lane, i = number * KQ_LANES + lane;
      if (gemm->finish == KQ_FINISH_FLOAT) { /* sums start from 0.0f, whose bits are 0 */
        fill_floats(op, channel, (int32_t *)(uintptr_t)gemm->factor + i, (uint8_t *)(uintptr_t)gemm->offset + 4 * (size_t)i);
      } else if (gemm->finish == KQ_FINISH_FMA) {
        fill_fma_lane(op, gemm, &totals, channel, steps->sum[i], i);
      } else {
        fill_lane(gemm, &totals, channel, steps->sum[i], i);
      }
    }
  }
}
