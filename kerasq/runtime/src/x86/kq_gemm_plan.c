/* What a convolution does before and after its steps: see kq_gemm.h. Runs when a model is prepared. */
#include "kq_gemm.h"

#include "../kq_float.h"

enum { SLACK = 64 };

/* Whether the input has to be copied: for margins, for another type, or because the output is written over it. */
static bool needs_staging(const kq_operator *op) {
  const kq_tensor *x = op->input[KQ_X];
  const kq_image in = kq_image_of(op);
  const uint8_t direct[] = {KQ_UFIXED8, KQ_FIXED16, KQ_FLOAT32, KQ_FIXED16, KQ_FLOAT32}; /* by kq_step_type */
  return (in.padding[0] | in.padding[1] | in.padding[2] | in.padding[3]) != 0 || x->type != direct[kq_step_type_of(op)] ||
         kq_share_bytes(x, op->output);
}

static uint64_t staged_bytes(const kq_operator *op) {
  const kq_image in = kq_image_of(op);
  const uint64_t rows = in.padding[0] + in.rows + in.padding[1], columns = kq_staged_columns(&in);
  return needs_staging(op) ? rows * columns * in.channels * kq_step_value_bytes(kq_step_type_of(op)) : 0;
}

size_t kq_gemm_scratch_bytes(const kq_operator *op) { return (size_t)staged_bytes(op) + SLACK; }

/* A window much larger than its input, legal if odd, would take a copy that is almost all margin. */
static bool is_worth_staging(const kq_operator *op) {
  const uint64_t values = (uint64_t)op->input[KQ_X]->elements + op->output->elements;
  return staged_bytes(op) <= 16 * values + (1u << 16) && staged_bytes(op) < (1u << 30);
}

/* Block after block passes over a chunk of pixels: an output that lies over its addend, but not value by value, would reach
 * addends of blocks to come. */
static bool has_safe_addend(const kq_operator *op) {
  const kq_tensor *addend = op->input[KQ_ADDEND], *y = op->output;
  if (addend == NULL || !kq_share_bytes(addend, y)) return true;
  return addend->offset == y->offset && addend->bytes == y->bytes;
}

/* The sums of so many chunks can be added up (kq_wide.h). */
static bool has_few_chunks(const kq_operator *op) {
  return !kq_is_wide(op) || kq_most_steps(op) <= KQ_WIDE_CHUNK * KQ_WIDE_CHUNKS * kq_halves(op);
}

static bool accepts(const kq_operator *op) { return is_worth_staging(op) && has_safe_addend(op) && has_few_chunks(op); }

bool kq_gemm_accepts(const kq_operator *op) { return !kq_is_depthwise(op) && accepts(op); }

bool kq_depthwise_accepts(const kq_operator *op) { return kq_is_depthwise(op) && accepts(op); }

/* ---- The stages after the sum ---- */

static int addend_places(const kq_operator *op) {
  return op->input[KQ_ADDEND] == NULL ? 0 : kq_total_frac_bits(op) - op->input[KQ_ADDEND]->frac_bits;
}

/* An upper bound of |sum * m + b + r| with the rounding half, over all channels, a little rounded up. */
static double total_bound(const kq_operator *op, const kq_steps *steps) {
  const kq_tensor *r = op->input[KQ_ADDEND];
  const kq_totals totals = kq_totals_of(op, NULL);
  const double largest_x = kq_max_magnitude(op->input[KQ_X]->type);
  const double largest_r = r == NULL ? 0.0 : kq_max_magnitude(r->type) * kq_power_of_two(addend_places(op));
  const double half = totals.shift > 0 ? kq_power_of_two(totals.shift - 1) : 0.0;
  double bound = 0;
  for (uint32_t number = 0; number < steps->blocks; ++number) {
    for (uint32_t lane = 0; lane < steps->block[number].channels; ++lane) {
      const uint32_t channel = steps->block[number].first_channel + lane;
      const double weights = steps->magnitude[number * KQ_LANES + lane];
      const double bias = (double)kq_total(&totals, channel, 0, 0);
      const double factor = (double)kq_total(&totals, channel, 0, 1) - bias;
      const double total = weights * largest_x * (factor < 0 ? -factor : factor) + (bias < 0 ? -bias : bias) + largest_r + half;
      if (total > bound) bound = total;
    }
  }
  return bound * 1.0001;
}

/* What the copy of the input adds to its values. */
static int32_t input_offset(const kq_operator *op) {
  const uint8_t type = op->input[KQ_X]->type;
  return type == KQ_UFIXED16 ? -32768 : type == KQ_FIXED8 && kq_step_type_of(op) == KQ_STEP_U8 ? 128 : 0;
}

static kq_finish_type finish_of(const kq_operator *op, const kq_steps *steps, int shift) {
  if (!op->is_integer) return KQ_FINISH_FLOAT;
  if (op->output->type == KQ_FLOAT32 || shift < 0) return KQ_FINISH_ANY;
  if (kq_is_wide(op)) return KQ_FINISH_WIDE;
  if (op->total_bits == 32 && shift < 32) return KQ_FINISH_32;
  if (addend_places(op) > 30) return KQ_FINISH_ANY; /* FINISH_64 multiplies by 2^places, as an int32_t */
  return shift <= 32 && total_bound(op, steps) < kq_power_of_two(shift + 31) ? KQ_FINISH_64 : KQ_FINISH_ANY;
}

static void fill_floats(const kq_operator *op, uint32_t channel, int32_t *factor, uint8_t *offset) {
  const kq_tensor *m = op->input[KQ_MULTIPLIER], *b = op->input[KQ_BIAS];
  const kq_float_totals totals = kq_float_totals_of(op, NULL);
  kq_store_f32((uint8_t *)factor, m == NULL ? 1.0f : kq_value(&totals.multipliers, m->data, channel));
  kq_store_f32(offset, b == NULL ? 0.0f : kq_value(&totals.biases, b->data, channel));
}

/* Start value, factor and offset of lane number i, whose weights have the sum `weights`: all modulo 2^32 or 2^64. */
static void fill_lane(const kq_operator *op, const kq_gemm *gemm, const kq_totals *totals, uint32_t channel, int64_t weights,
                      uint32_t i) {
  int32_t *start = (int32_t *)(uintptr_t)gemm->start, *factor = (int32_t *)(uintptr_t)gemm->factor;
  int64_t *offset = (int64_t *)(uintptr_t)gemm->offset;
  const uint64_t correction = 0u - (uint64_t)weights * (uint64_t)(int64_t)input_offset(op);
  uint64_t constant = (uint64_t)kq_total(totals, channel, 0, 0);
  uint32_t begin = (uint32_t)correction;
  factor[i] = totals->multiplier.data == NULL ? 1 : totals->multiplier.read(totals->multiplier.data, channel);
  /* Where sums are rounded here, the shift is at most 63 by the proof; with KQ_FINISH_ANY it may be anything. */
  if (gemm->finish != KQ_FINISH_ANY && gemm->shift > 0) constant += (uint64_t)1 << (gemm->shift - 1);
  if (gemm->wide) { /* sums start from 0 */
    begin = 0;
    constant = gemm->finish == KQ_FINISH_ANY ? correction : constant + correction * (uint64_t)(int64_t)factor[i];
  } else if (gemm->finish == KQ_FINISH_32 && !gemm->has_factor) {
    begin += (uint32_t)constant;
  }
  memcpy(&start[i], &begin, sizeof begin);
  memcpy(&offset[i], &constant, sizeof constant);
}

static void fill_finish(const kq_operator *op, const kq_gemm *gemm, const kq_steps *steps) {
  const kq_totals totals = kq_totals_of(op, NULL);
  for (uint32_t number = 0; number < gemm->blocks; ++number) {
    const kq_block *block = &gemm->block[number];
    for (uint32_t lane = 0; lane < block->channels; ++lane) {
      const uint32_t channel = block->first_channel + lane, i = number * KQ_LANES + lane;
      if (gemm->finish == KQ_FINISH_FLOAT) { /* sums start from 0.0f, whose bits are 0 */
        fill_floats(op, channel, (int32_t *)(uintptr_t)gemm->factor + i, (uint8_t *)(uintptr_t)gemm->offset + 4 * (size_t)i);
      } else {
        fill_lane(op, gemm, &totals, channel, steps->sum[i], i);
      }
    }
  }
}

static void fill_geometry(const kq_operator *op, kq_gemm *gemm) {
  const kq_image in = kq_image_of(op);
  gemm->value_bytes = kq_step_value_bytes(gemm->step_type);
  gemm->staged = needs_staging(op);
  gemm->staged_rows = in.padding[0] + in.rows + in.padding[1];
  gemm->staged_columns = kq_staged_columns(&in);
  const uint32_t pixel_bytes = in.channels * gemm->value_bytes;
  gemm->pixels = 1;
  gemm->columns = 1;
  if (kq_is_dense(op)) return;
  gemm->column_bytes = op->strides[1] * pixel_bytes;
  gemm->row_bytes = op->strides[0] * gemm->staged_columns * pixel_bytes;
  gemm->columns = op->output->shape[2];
  gemm->pixels = op->output->shape[1] * gemm->columns;
}

/* ---- The plan's memory ---- */

static size_t bytes(const kq_operator *op) {
  return kq_aligned(sizeof(kq_gemm)) + (size_t)kq_blocks_of(op) * KQ_LANES * (2 * sizeof(int32_t) + sizeof(int64_t));
}

static void pack(const kq_operator *op, const void *constants, void *memory) {
  const kq_steps *steps = constants;
  const size_t lanes = (size_t)steps->blocks * KQ_LANES;
  kq_gemm *gemm = memory;
  memset(memory, 0, bytes(op));
  gemm->shared.constants = steps;
  gemm->step_type = kq_step_type_of(op);
  gemm->shift = kq_total_frac_bits(op) - op->output->frac_bits;
  gemm->finish = finish_of(op, steps, gemm->shift);
  gemm->has_factor = op->input[KQ_MULTIPLIER] != NULL;
  gemm->has_addend = op->input[KQ_ADDEND] != NULL;
  gemm->wide = kq_is_wide(op);
  gemm->halves = kq_halves(op);
  gemm->addend_places = op->is_integer ? addend_places(op) : 0;
  gemm->blocks = steps->blocks;
  gemm->block = steps->block;
  gemm->place = steps->place;
  gemm->weights = steps->weights;
  gemm->start = (const int32_t *)(const void *)((uint8_t *)memory + kq_aligned(sizeof(kq_gemm)));
  gemm->factor = gemm->start + lanes;
  gemm->offset = (const int64_t *)(const void *)(gemm->factor + lanes);
  fill_geometry(op, gemm);
  fill_finish(op, gemm, steps);
}

static bool serves(const kq_operator *owner, const kq_operator *op) {
  const kq_tensor *r = owner->input[KQ_ADDEND], *s = op->input[KQ_ADDEND];
  return kq_has_format_of(owner->input[KQ_X], op->input[KQ_X]) && kq_has_shape_of(owner->input[KQ_X], op->input[KQ_X]) &&
         owner->input[KQ_MULTIPLIER] == op->input[KQ_MULTIPLIER] && owner->input[KQ_BIAS] == op->input[KQ_BIAS] &&
         kq_has_format_of(owner->output, op->output) && kq_has_shape_of(owner->output, op->output) &&
         owner->total_bits == op->total_bits && needs_staging(owner) == needs_staging(op) &&
         memcmp(owner->strides, op->strides, sizeof op->strides) == 0 &&
         memcmp(owner->padding, op->padding, sizeof op->padding) == 0 && (r == NULL) == (s == NULL) &&
         (r == NULL || kq_has_format_of(r, s));
}

static const kq_part finish = {.most = bytes, .bytes = bytes, .serves = serves, .pack = pack};

const kq_packing kq_gemm_packing = {.reserve = kq_reserve, .fill = kq_fill, .constants = &kq_gemm_steps, .finish = &finish};
const kq_packing kq_gemm_saturating_packing = {
    .reserve = kq_reserve, .fill = kq_fill, .constants = &kq_gemm_saturating_steps, .finish = &finish};
