/* Padding of a CONV_2D whose input's zero is not stored as 0. */
#include "kq_conv.h"

int64_t kq_absent_sum(const kq_operator *op, const kq_pixel *pixel, const kq_rows *weights, uint32_t channel) {
  const kq_span rows = pixel->rows, columns = pixel->columns;
  const uint32_t height = op->window[0], width = op->window[1], channels = op->input[KQ_KERNEL]->shape[3];
  int64_t sum = 0;
  for (uint32_t row = 0, first = 0; row < height; ++row) {
    for (uint32_t column = 0; column < width; ++column, first += channels) {
      const bool is_inside = row >= rows.begin && row < rows.end && column >= columns.begin && column < columns.end;
      if (is_inside) continue;
      for (uint32_t i = 0; i < channels; ++i) sum += kq_weight(weights, channel, first + i);
    }
  }
  return sum * op->zero;
}
