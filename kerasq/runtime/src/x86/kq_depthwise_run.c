/* A depthwise convolution of bytes, row by row: see kq_depthwise.h. */
#include "kq_depthwise.h"

#include "../packed/kq_rounding.h"

/* The scratch memory in use. */
typedef struct {
  kq_depthwise_shape shape;
  const uint8_t *input;
  uint8_t *planes, *spare, *outputs;
  size_t row_bytes; /* of the planes of a row of outputs, or of its inputs */
  uint8_t flip;
  uint8_t zero; /* what lies outside of the input, before it is flipped */
} work;

static work begin(const kq_operator *op, const kq_depthwise *plan, const uint8_t *input, uint8_t *scratch) {
  work w = {
      .shape = kq_depthwise_shape_of(op),
      .input = input,
      .flip = kq_depthwise_flip(op),
      .zero = (uint8_t)op->zero,
  };
  const size_t plane_bytes = kq_plane_bytes(&w.shape), spare_bytes = kq_spare_row_bytes(&w.shape);
  w.planes = scratch + (0u - (uintptr_t)scratch) % 64;
  w.row_bytes = plan->planes * plane_bytes;
  w.spare = w.planes + plan->rows * w.row_bytes;
  w.outputs = w.spare + spare_bytes;
  if (plan->pointwise) {
    w.row_bytes = plan->row_outputs;
    return w;
  }
  memset(w.spare, w.zero, spare_bytes);
  if (w.shape.left > 0 && !w.shape.horizontal) {
    for (uint32_t plane = 0; plane < plan->planes * plan->rows; ++plane) {
      memset(w.planes + plane * plane_bytes, w.zero ^ w.flip, 4 * (size_t)w.shape.left * w.shape.channels);
    }
  }
  return w;
}

/* The planes under one row of outputs of a window of several rows. */
static void interleave_rows(const work *w, const kq_depthwise *plan, const kq_depthwise_tier *tier, uint32_t row,
                            uint8_t *planes) {
  const kq_depthwise_shape *s = &w->shape;
  const size_t line = (size_t)s->columns * s->channels, left = (size_t)s->left * s->channels;
  const size_t right = (size_t)(s->staged_columns - s->left - s->columns) * s->channels;
  for (uint32_t plane = 0; plane < plan->planes; ++plane) {
    const uint8_t *source[4];
    uint8_t *to = planes + plane * kq_plane_bytes(s) + 4 * left;
    for (uint32_t slot = 0; slot < 4; ++slot) {
      const uint32_t tap = 4 * plane + kq_slot_tap(kq_plane_taps(s, plane), slot);
      const uint32_t under = row * s->stride[0] + tap * s->dilation[0] - s->top; /* above the first: large */
      source[slot] = under < s->rows ? w->input + under * line : w->spare;
    }
    tier->interleave(source, w->flip, to, line);
    if (right > 0) memset(to + 4 * line, w->zero ^ w->flip, 4 * right);
  }
}

/* The plane under one row of outputs of a window of one row, which always lies in the input: padding is less than a window. */
static void interleave_columns(const work *w, const kq_depthwise_tier *tier, uint32_t row, uint8_t *planes) {
  const kq_depthwise_shape *s = &w->shape;
  const size_t line = (size_t)s->columns * s->channels;
  const uint8_t *source[4];
  memcpy(w->spare + (size_t)s->left * s->channels, w->input + row * s->stride[0] * line, line);
  for (uint32_t slot = 0; slot < 4; ++slot) {
    source[slot] = w->spare + (size_t)kq_slot_tap(kq_plane_taps(s, 0), slot) * s->dilation[1] * s->channels;
  }
  tier->interleave(source, w->flip, planes, (size_t)s->staged_columns * s->channels);
}

/* Pixels `first` and following of the first row of a batch of `rows`. */
static void fill_batch(const work *w, const kq_depthwise *plan, uint32_t rows, uint32_t first, kq_depthwise_batch *batch) {
  const uint32_t left = plan->pixels - first, pixels = left < KQ_DEPTHWISE_PIXELS ? left : KQ_DEPTHWISE_PIXELS;
  uint32_t count = 0;
  for (uint32_t row = 0; row < rows; ++row) {
    for (uint32_t pixel = first; pixel < first + pixels; ++pixel, ++count) {
      batch->input[count] = (int32_t)(row * w->row_bytes + (size_t)pixel * plan->pixel_bytes);
      batch->output[count] = (int32_t)(row * plan->row_outputs + pixel * plan->pixel_outputs);
    }
  }
  for (; count % KQ_DEPTHWISE_TILE != 0; ++count) {
    batch->input[count] = batch->input[count - 1];
    batch->output[count] = batch->output[count - 1];
  }
  batch->count = count;
}

/* `rows` rows of outputs from number `row` on. */
static void run_rows(const kq_operator *op, const kq_depthwise *plan, const kq_depthwise_tier *tier, const work *w, uint32_t row,
                     uint32_t rows, kq_depthwise_batch *batch, uint8_t *output) {
  for (uint32_t i = 0; i < rows && !plan->pointwise; ++i) {
    uint8_t *const planes = w->planes + i * w->row_bytes;
    if (w->shape.horizontal) {
      interleave_columns(w, tier, row + i, planes);
    } else {
      interleave_rows(w, plan, tier, row + i, planes);
    }
  }
  batch->planes = plan->pointwise ? w->input + row * w->row_bytes : w->planes;
  batch->outputs = plan->direct ? output : w->outputs;
  for (uint32_t first = 0; first < plan->pixels; first += KQ_DEPTHWISE_PIXELS) {
    if (first != 0 || rows != plan->rows || plan->pixels > KQ_DEPTHWISE_PIXELS) fill_batch(w, plan, rows, first, batch);
    /* The last block first: it may write beyond its pixels. */
    for (uint32_t block = plan->blocks; block-- > 0;) tier->compute(op, plan, batch, block);
  }
  if (!plan->direct) memcpy(output, w->outputs, (size_t)rows * plan->row_outputs);
}

/* Rows [first, end) of the output. */
static void compute_rows(const kq_operator *op, const kq_depthwise_tier *tier, const uint8_t *input, uint8_t *scratch,
                         uint8_t *output, uint32_t first, uint32_t end) {
  const kq_depthwise *plan = op->packed;
  const work w = begin(op, plan, input, scratch);
  kq_depthwise_batch batch;
  fill_batch(&w, plan, plan->rows, 0, &batch);
  const uint32_t mode = kq_round_for(&plan->gemm);
  for (uint32_t row = first; row < end; row += plan->rows) {
    run_rows(op, plan, tier, &w, row, kq_least(end - row, plan->rows), &batch, output + (size_t)row * plan->row_outputs);
  }
  kq_round_again(&plan->gemm, mode);
}

void kq_depthwise_run(const kq_operator *op, uint8_t *arena, const kq_depthwise_tier *tier) {
  compute_rows(op, tier, kq_input_data(op, KQ_X, arena), arena + op->scratch, kq_output_data(op, arena), 0,
               kq_depthwise_shape_of(op).out_rows);
}

/* ---- In pieces: a copy of the input, where outputs are written over it; then rows ---- */

enum { READ_BEHIND = 64 }; /* the last row's end */

static bool is_copied(const kq_operator *op) { return kq_share_bytes(op->input[KQ_X], op->output); }

size_t kq_depthwise_shared_bytes(const kq_operator *op) { return is_copied(op) ? op->input[KQ_X]->bytes + READ_BEHIND : 0; }

uint32_t kq_depthwise_pieces(const kq_operator *op, uint32_t stage, uint32_t wanted) {
  const kq_depthwise *plan = op->packed;
  const uint32_t rows = kq_depthwise_shape_of(op).out_rows, bytes = op->input[KQ_X]->bytes;
  if (stage == 0) return is_copied(op) ? kq_least(wanted, bytes / KQ_COPIED_BYTES + 1) : 0;
  return kq_least(wanted, (rows + plan->rows - 1) / plan->rows);
}

void kq_depthwise_compute_piece(const kq_piece *piece, const kq_depthwise_tier *tier) {
  const kq_operator *op = piece->op;
  const uint8_t *input = kq_input_data(op, KQ_X, piece->arena);
  const uint32_t things = piece->stage == 0 ? op->input[KQ_X]->bytes : kq_depthwise_shape_of(op).out_rows;
  const uint32_t first = kq_part_begin(things, piece->number, piece->pieces);
  const uint32_t end = kq_part_begin(things, piece->number + 1, piece->pieces);
  if (piece->stage == 0) {
    memcpy(piece->shared + first, input + first, end - first);
  } else {
    compute_rows(op, tier, is_copied(op) ? piece->shared : input, piece->own, kq_output_data(op, piece->arena), first, end);
  }
}

void kq_depthwise_finish(const kq_operator *op, uint32_t block, const int32_t sums[KQ_LANES], uint8_t *to) {
  const kq_totals totals = kq_totals_of(op, NULL);
  const uint32_t channels = op->output->shape[3];
  for (uint32_t lane = 0; lane < KQ_LANES; ++lane) {
    const int64_t total = kq_total(&totals, (block * KQ_LANES + lane) % channels, 0, sums[lane]);
    to[lane] = (uint8_t)kq_requantize(total, totals.shift, op->low.fixed, op->high.fixed);
  }
}
