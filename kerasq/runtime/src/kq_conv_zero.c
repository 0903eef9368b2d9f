/* Padding of a CONV_2D whose input's zero is not stored as 0. */
#include "kq_conv.h"

int64_t kq_absent_sum(const kq_operator *op, const kq_pixel *pixel, const kq_rows *weights, uint32_t channel) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const kq_span rows = pixel->rows, columns = pixel->columns;
  const uint32_t taps = kernel->shape[2], channels = kernel->shape[3];
  int64_t sum = 0;
  if (op->zero == 0) return 0;
  for (uint32_t tap = 0; tap < op->window[0] * taps; ++tap) {
    const uint32_t row = tap / taps, column = tap % taps;
    const bool is_inside = row >= rows.begin && row < rows.end && column >= columns.begin && column < columns.end;
    if (is_inside) continue;
    for (uint32_t i = 0; i < channels; ++i) sum += kq_weight(weights, channel, tap * channels + i);
  }
  return sum * op->zero;
}
