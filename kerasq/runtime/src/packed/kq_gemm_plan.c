/* What a convolution does before and after its steps: see kq_gemm.h. Runs when a model is prepared. */
#include "kq_gemm.h"

enum { SLACK = 64 };

/* Whether the input has to be copied: for margins, for another type, or because the output is written over it. */
static bool needs_staging(const kq_operator *op) {
  const kq_tensor *x = op->input[KQ_X];
  const kq_image in = kq_image_of(op);
  const uint8_t direct[] = {KQ_DIRECT_BYTES, KQ_FIXED16, KQ_FLOAT32, KQ_FIXED16, KQ_FLOAT32}; /* by kq_step_type */
  return (in.padding[0] | in.padding[1] | in.padding[2] | in.padding[3]) != 0 || x->type != direct[kq_step_type_of(op)] ||
         kq_share_bytes(x, op->output);
}

static uint64_t staged_values(const kq_operator *op) {
  const kq_image in = kq_image_of(op);
  const uint64_t rows = in.padding[0] + in.rows + in.padding[1], columns = kq_staged_columns(&in);
  return rows * columns * in.channels;
}

static uint64_t staged_bytes(const kq_operator *op) {
  return needs_staging(op) ? staged_values(op) * kq_step_value_bytes(kq_step_type_of(op)) : 0;
}

size_t kq_gemm_scratch_bytes(const kq_operator *op) { return (size_t)staged_bytes(op) + SLACK; }

size_t kq_gemm_doubled_scratch_bytes(const kq_operator *op) {
  return kq_step_type_of(op) == KQ_STEP_U8 ? 2 * (size_t)staged_values(op) + SLACK : kq_gemm_scratch_bytes(op);
}

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
  if (!kq_is_wide(op)) return true;
  return kq_steps_of(op) <= KQ_WIDE_CHUNK * KQ_WIDE_CHUNKS * kq_halves(op) && kq_sums_fit(op);
}

static bool accepts(const kq_operator *op) { return is_worth_staging(op) && has_safe_addend(op) && has_few_chunks(op); }

bool kq_gemm_accepts(const kq_operator *op) { return !kq_is_depthwise(op) && accepts(op); }

bool kq_depthwise_accepts(const kq_operator *op) { return kq_is_depthwise(op) && accepts(op); }

static void fill_geometry(const kq_operator *op, kq_gemm *gemm) {
  const kq_image in = kq_image_of(op);
  gemm->value_bytes = gemm->doubled ? 2 : kq_step_value_bytes(gemm->step_type);
  gemm->staged = gemm->doubled || needs_staging(op);
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
  gemm->finish = kq_choose_finish(op, steps);
  gemm->has_factor = op->input[KQ_MULTIPLIER] != NULL;
  gemm->has_addend = op->input[KQ_ADDEND] != NULL;
  gemm->wide = kq_is_wide(op);
  gemm->halves = kq_halves(op);
  gemm->doubled = steps->doubled;
  gemm->own_places = steps->own_places;
  gemm->blocks = steps->blocks;
  gemm->block = steps->block;
  gemm->place = steps->place;
  gemm->weights = steps->weights;
  gemm->start = (const int32_t *)(const void *)((uint8_t *)memory + kq_aligned(sizeof(kq_gemm)));
  gemm->factor = gemm->start + lanes;
  gemm->offset = (const int64_t *)(const void *)(gemm->factor + lanes);
  fill_geometry(op, gemm);
  kq_fill_finish(op, gemm, steps);
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

const kq_part kq_gemm_finish_part = {.bytes = bytes, .serves = serves, .pack = pack};

const kq_packing kq_gemm_packing = {.reserve = kq_reserve, .fill = kq_fill, .constants = &kq_gemm_steps, .finish = &kq_gemm_finish_part};
const kq_packing kq_gemm_saturating_packing = {
    .reserve = kq_reserve, .fill = kq_fill, .constants = &kq_gemm_saturating_steps, .finish = &kq_gemm_finish_part};
