#include "kq_arm_block.h"

bool kq_arm_addend_allows_blocks(const kq_operator *op, uint32_t pixels) {
  const kq_tensor *addend = op->input[KQ_ADDEND], *y = op->output;
  if (addend == NULL) return true;
  const int64_t ahead = (int64_t)addend->offset - y->offset;
  if (ahead < 0 || ahead >= y->bytes) return true; /* apart: the plan allows no output above an addend */
  return ahead >= (int64_t)pixels * y->shape[3] || (ahead == 0 && kq_bits(addend->type) == kq_bits(y->type));
}

kq_arm_cursor kq_arm_first_origin(const kq_operator *op) {
  kq_arm_cursor cursor = {0, {-op->padding[0], -op->padding[2]}, KQ_UNROLL(true, false)};
  for (unsigned axis = 0; axis < 2 && cursor.is_pointwise; ++axis) {
    cursor.is_pointwise = cursor.is_pointwise && op->window[axis] == 1 && op->strides[axis] == 1 &&
                          op->output->shape[1 + axis] == op->input[KQ_X]->shape[1 + axis];
  }
  return cursor;
}

bool kq_arm_next_origins(const kq_operator *op, kq_arm_cursor *cursor, uint32_t count, kq_arm_origin at[], uint32_t size) {
  /* For little code nobody asks whether windows lie inside. */
  const int32_t bottom = (int32_t)op->input[KQ_X]->shape[1] - (op->window[0] - 1) * op->dilations[0];
  const int32_t right = (int32_t)op->input[KQ_X]->shape[2] - (op->window[1] - 1) * op->dilations[1];
  const uint32_t width = op->output->shape[2];
#ifndef __OPTIMIZE_SIZE__
  if (count == size && cursor->column + size < width) { /* none of them ends a row */
    for (uint32_t i = 0; i < size; ++i, cursor->at.column += op->strides[1]) at[i] = cursor->at;
    cursor->column += size;
    return at[0].row >= 0 && at[0].row < bottom && at[0].column >= 0 && at[size - 1].column < right;
  }
#endif
  bool inside = true;
  for (uint32_t i = 0; i < size; ++i) {
    at[i] = i < count ? cursor->at : at[count - 1];
    if (i >= count) continue;
    inside = KQ_UNROLL(inside, false) && at[i].row >= 0 && at[i].row < bottom && at[i].column >= 0 && at[i].column < right;
    cursor->at.column += op->strides[1];
    if (++cursor->column == width) {
      cursor->column = 0;
      cursor->at.column = -op->padding[2];
      cursor->at.row += op->strides[0];
    }
  }
  return inside;
}

/* One row of taps. */
static void copy_row(const kq_operator *op, const uint8_t *line, int32_t column, uint8_t *to) {
  const uint32_t width = op->input[KQ_X]->shape[2], channels = op->input[KQ_X]->shape[3], taps = op->window[1];
  if (op->dilations[1] == 1 && column >= 0 && (uint32_t)column + taps <= width) {
    kq_arm_copy(to, line + (uint32_t)column * channels, taps * channels);
    return;
  }
  for (uint32_t tap = 0; tap < taps; ++tap, to += channels) {
    const uint32_t x = (uint32_t)column + tap * op->dilations[1];
    if (x < width) {
      kq_arm_copy(to, line + x * channels, channels);
    } else {
      memset(to, op->zero, channels);
    }
  }
}

void kq_arm_copy_window(const kq_operator *op, const uint8_t *input, kq_arm_origin at, uint8_t *to, size_t bytes) {
  const uint32_t *shape = op->input[KQ_X]->shape;
  const uint32_t line = shape[2] * shape[3], row_bytes = op->window[1] * shape[3];
  uint8_t *const end = to + bytes;
  for (uint32_t row = 0; row < op->window[0]; ++row, to += row_bytes) {
    const uint32_t y = (uint32_t)at.row + row * op->dilations[0];
    if (y < shape[1]) {
      copy_row(op, input + y * line, at.column, to);
    } else {
      memset(to, op->zero, row_bytes);
    }
  }
  while (to < end) *to++ = 0;
}
