/* The copy of the input with margins, and outputs that need one value's care at a time. */
#include "kq_gemm.h"

#include "../kq_float.h"

/* Values as they are multiplied, `count` of them. The loops over bytes and words become vector instructions. */
static void convert(const kq_tensor *x, const uint8_t *restrict from, uint32_t first, uint8_t *restrict to, size_t count,
                    kq_step_type type) {
  const uint32_t bytes = kq_value_bytes(x->type);
  const uint8_t *source = from + (size_t)first * bytes;
  if (x->type == KQ_FLIPPED_BYTES && type == KQ_STEP_U8) {
    for (size_t i = 0; i < count; ++i) to[i] = source[i] ^ 0x80;
  } else if (x->type == KQ_FIXED8 && (type == KQ_STEP_S16 || type == KQ_STEP_DEPTHWISE)) {
    for (size_t i = 0; i < count; ++i) kq_store_16_bits(to + 2 * i, kq_load_s8(source + i));
  } else if (x->type == KQ_UFIXED8 && (type == KQ_STEP_S16 || type == KQ_STEP_DEPTHWISE)) {
    for (size_t i = 0; i < count; ++i) kq_store_16_bits(to + 2 * i, source[i]);
  } else if (x->type == KQ_UFIXED16 && (type == KQ_STEP_S16 || type == KQ_STEP_DEPTHWISE)) {
    for (size_t i = 0; i < 2 * count; i += 2) {
      to[i] = source[i];
      to[i + 1] = source[i + 1] ^ 0x80;
    }
  } else if (x->type != KQ_FLOAT32 && (type == KQ_STEP_F32 || type == KQ_STEP_DEPTHWISE_F32)) {
    const kq_values values = kq_values_of(x);
    for (size_t i = 0; i < count; ++i) kq_store_f32(to + 4 * i, kq_value(&values, from, first + (uint32_t)i));
  } else {
    memcpy(to, source, count * bytes);
  }
}

/* Bytes as 16-bit values. */
static void convert_doubled(const kq_tensor *x, const uint8_t *restrict from, uint32_t first, uint8_t *restrict to,
                            size_t count) {
  const uint8_t *source = from + first, flip = x->type == KQ_FIXED8 ? 0x80 : 0;
  for (size_t i = 0; i < count; ++i) kq_store_16_bits(to + 2 * i, source[i] ^ flip);
}

/* Margins: `count` times the operator's zero as it is multiplied; 0.0f in float. */
static void fill(const kq_operator *op, const kq_gemm *gemm, uint8_t *to, size_t count) {
  const int32_t value = op->zero + gemm->input_offset;
  if (gemm->value_bytes == 2) {
    for (size_t i = 0; i < count; ++i) kq_store_16_bits(to + 2 * i, value);
  } else {
    memset(to, gemm->value_bytes == 1 ? (uint8_t)value : 0, count * gemm->value_bytes);
  }
}

void kq_gemm_stage(const kq_operator *op, const kq_gemm *gemm, uint8_t *arena, uint32_t first, uint32_t end) {
  if (!gemm->staged) return;
  const kq_tensor *x = op->input[KQ_X];
  const uint8_t *source = kq_input_data(op, KQ_X, arena);
  const kq_image in = kq_image_of(op);
  const size_t left = (size_t)in.padding[2] * in.channels, right = (size_t)in.padding[3] * in.channels;
  const size_t line = (size_t)in.columns * in.channels, bytes = gemm->value_bytes;
  uint8_t *to = arena + op->scratch + first * (left + line + right) * bytes;
  for (uint32_t staged = first; staged < end; ++staged, to += (left + line + right) * bytes) {
    const uint32_t row = staged - in.padding[0]; /* above the first: large */
    if (row >= in.rows) {
      fill(op, gemm, to, left + line + right);
      continue;
    }
    fill(op, gemm, to, left);
    if (gemm->doubled) {
      convert_doubled(x, source, row * (uint32_t)line, to + left * bytes, line);
    } else {
      convert(x, source, row * (uint32_t)line, to + left * bytes, line, gemm->step_type);
    }
    fill(op, gemm, to + (left + line) * bytes, right);
  }
}

/* Where it is to be read: the copy, or the input itself. */
static const uint8_t *input_of(const kq_operator *op, const kq_gemm *gemm, const uint8_t *arena) {
  return gemm->staged ? arena + op->scratch : kq_input_data(op, KQ_X, arena);
}

const uint8_t *kq_gemm_input(const kq_operator *op, const kq_gemm *gemm, uint8_t *arena) {
  kq_gemm_stage(op, gemm, arena, 0, gemm->staged_rows);
  return input_of(op, gemm, arena);
}

void kq_gemm_places(const kq_gemm *gemm, uint32_t first, uint32_t count, uint32_t tile, const uint8_t *input,
                    const uint8_t **places) {
  uint32_t column = first % gemm->columns;
  const uint8_t *row = input + (size_t)(first / gemm->columns) * gemm->row_bytes;
  for (uint32_t i = 0; i < count; column = 0, row += gemm->row_bytes) { /* what is left of a row */
    const uint8_t *place = row + (size_t)column * gemm->column_bytes;
    const uint32_t end = count - i < gemm->columns - column ? count : i + gemm->columns - column;
    for (; i < end; ++i, place += gemm->column_bytes) places[i] = place;
  }
  for (uint32_t i = count; i % tile != 0; ++i) places[i] = places[count - 1];
}

void kq_gemm_each_chunk(const kq_operator *op, uint8_t *arena, kq_gemm_compute compute) {
  const kq_gemm *gemm = op->packed;
  const uint8_t *input = kq_gemm_input(op, gemm, arena);
  for (uint32_t first = 0; first < gemm->pixels; first += KQ_CHUNK) {
    const kq_gemm_chunk chunk = {.pixel = first, .pixels = kq_least(gemm->pixels - first, KQ_CHUNK), .end = gemm->blocks};
    compute(op, gemm, &chunk, input, kq_output_data(op, arena));
  }
}

/* ---- In pieces ---- */

static uint32_t chunks_of(const kq_gemm *gemm) { return (gemm->pixels + KQ_CHUNK - 1) / KQ_CHUNK; }

/* Where there are few chunks, each is divided by its blocks, two by two: then weights are still read once. */
static uint32_t divisions(const kq_gemm *gemm, uint32_t wanted) {
  const uint32_t pairs = (gemm->blocks + 1) / 2, each = (wanted + chunks_of(gemm) - 1) / chunks_of(gemm);
  return kq_least(pairs, each);
}

uint32_t kq_gemm_pieces(const kq_operator *op, uint32_t stage, uint32_t wanted) {
  const kq_gemm *gemm = op->packed;
  if (stage == 1) return chunks_of(gemm) * divisions(gemm, wanted);
  if (!gemm->staged) return 0;
  const uint64_t bytes = (uint64_t)gemm->staged_rows * gemm->staged_columns * kq_image_of(op).channels * gemm->value_bytes;
  return kq_least(kq_least(gemm->staged_rows, wanted), bytes / KQ_COPIED_BYTES + 1);
}

void kq_gemm_compute_piece(const kq_piece *piece, kq_gemm_compute compute) {
  const kq_operator *op = piece->op;
  const kq_gemm *gemm = op->packed;
  if (piece->stage == 0) {
    kq_gemm_stage(op, gemm, piece->arena, kq_part_begin(gemm->staged_rows, piece->number, piece->pieces),
                  kq_part_begin(gemm->staged_rows, piece->number + 1, piece->pieces));
    return;
  }
  const uint32_t chunks = chunks_of(gemm), parts = piece->pieces / chunks, part = piece->number % parts;
  const uint32_t first = piece->number / parts * KQ_CHUNK, pairs = (gemm->blocks + 1) / 2;
  const kq_gemm_chunk chunk = {
      .pixel = first,
      .pixels = kq_least(gemm->pixels - first, KQ_CHUNK),
      .block = 2 * kq_part_begin(pairs, part, parts),
      .end = kq_least(2 * (uint64_t)kq_part_begin(pairs, part + 1, parts), gemm->blocks),
  };
  compute(op, gemm, &chunk, input_of(op, gemm, piece->arena), kq_output_data(op, piece->arena));
}

static void finish_any(const kq_operator *op, const kq_totals *totals, uint32_t channel, int64_t sum, uint8_t *output,
                       uint32_t i) {
  const int64_t total = kq_total(totals, channel, i, sum);
  if (op->output->type == KQ_FLOAT32) {
    kq_put_float(op, output, i, kq_scaled_float(total, -totals->shift));
  } else {
    kq_writer_of(op->output->type)(output, i, kq_requantize(total, totals->shift, op->low.fixed, op->high.fixed));
  }
}

static void finish_floats(const kq_operator *op, const kq_block *block, const void *sums, uint8_t *output, uint32_t first) {
  const kq_float_totals totals = kq_float_totals_of(op, output - op->output->offset);
  float reals[KQ_LANES];
  memcpy(reals, sums, sizeof reals);
  for (uint32_t lane = 0; lane < block->channels; ++lane) {
    const uint32_t channel = block->first_channel + lane;
    kq_put_float(op, output, first + channel, kq_float_total(&totals, channel, first + channel, reals[lane]));
  }
}

void kq_gemm_finish(const kq_operator *op, const kq_gemm *gemm, const kq_block *block, const void *sums, uint8_t *output,
                    uint32_t pixel) {
  const uint32_t first = pixel * op->output->shape[op->output->rank - 1];
  const int64_t *const offset = gemm->offset + (size_t)(block - gemm->block) * KQ_LANES;
  int32_t integers[KQ_LANES];
  int64_t wide[KQ_LANES];
  if (gemm->finish == KQ_FINISH_FLOAT) {
    finish_floats(op, block, sums, output, first);
    return;
  }
  const kq_totals totals = kq_totals_of(op, output - op->output->offset);
  memcpy(integers, sums, sizeof integers);
  if (gemm->wide) memcpy(wide, sums, sizeof wide);
  for (uint32_t lane = 0; lane < block->channels; ++lane) {
    const uint32_t channel = block->first_channel + lane;
    finish_any(op, &totals, channel, gemm->wide ? wide[lane] + offset[lane] : integers[lane], output, first + channel);
  }
}
