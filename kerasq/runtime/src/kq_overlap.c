/* Where an operator's output may lie over an input that nobody needs afterwards: kerasq/verification/overlap.py has the
 * derivation, and the operator's signature how it reads each operand.
 *
 *     D = max over r of (r W s - rows(r)) + max over c of (c s - columns(c)) + own
 *
 * with W the output's width, s the bytes of an output pixel, rows(r) and columns(c) where the window of row r and column c begins
 * in the input, and own = s, or where a channel of the output reads only the same channel of the input, what wider values add.
 * Each maximum is one of a line less a convex function: it is at an end or on either side of the kink. */
#include "kq_verify.h"

/* The largest of i gain - loss max(0, i stride - padding) over the output's positions along an axis. A position i reads inside
 * the input, so that i stride - padding fits 31 bits; so do i gain and loss, parts of a tensor's bytes. */
static int64_t largest(const kq_operator *op, unsigned axis, uint32_t gain, uint32_t loss) {
  const uint32_t last = op->output->shape[1 + axis] - 1, stride = op->strides[axis], padding = op->padding[2 * axis];
  const uint32_t places[] = {padding / stride, padding / stride + 1, last};
  int64_t most = 0; /* of position 0 */
  for (uint32_t i = 0; i < 3; ++i) {
    const uint32_t place = places[i] < last ? places[i] : last;
    const uint32_t inside = place * stride > padding ? place * stride - padding : 0;
    const int64_t value = (int64_t)(place * gain) - (int64_t)((uint64_t)inside * loss);
    if (value > most) most = value;
  }
  return most;
}

/* By how many bytes the output must begin below an operand that is read in one of the ways of KQ_OVERLAP; FAR where it must not
 * touch it. Sizes of pixels and rows are parts of a tensor's bytes: they fit 31 bits. */
#define FAR INT64_MAX
static int64_t distance(const kq_operator *op, const kq_tensor *x, uint8_t overlap) {
  const kq_tensor *y = op->output;
  const uint32_t x_bytes = kq_value_bytes(x->type), y_bytes = kq_value_bytes(y->type);
  const bool slides = overlap == KQ_OVERLAP_WINDOW || overlap == KQ_OVERLAP_WINDOW_OF_CHANNEL;
  const uint32_t values = slides ? y->shape[3] : y->bytes / y_bytes;
  const uint32_t pixel = y->shape[3] * y_bytes, x_pixel = x->shape[3] * x_bytes;
  uint32_t own = y_bytes > x_bytes ? (values - 1) * (y_bytes - x_bytes) : 0; /* what wider values add */
  if (overlap == KQ_OVERLAP_NEVER) return FAR;
  if (overlap == KQ_OVERLAP_GROUP && op->groups != 1 && (op->window[0] != 1 || op->window[1] != 1)) return FAR;
  /* Of other sizes: one value per channel, which is read for every pixel. */
  if (!slides) return x->bytes / x_bytes == values ? own : FAR;
  if (overlap == KQ_OVERLAP_WINDOW && (op->groups != x->shape[3] || op->groups != y->shape[3])) own = pixel;
  int64_t below = own;
  for (unsigned axis = 0; axis < 2; ++axis) {
    below += largest(op, axis, axis == 0 ? y->shape[2] * pixel : pixel, axis == 0 ? x->shape[2] * x_pixel : x_pixel);
  }
  return below;
}

bool kq_may_overlap(const kq_operator *op, const kq_tensor *x) {
  const int64_t below = (int64_t)x->offset - op->output->offset;
  for (uint32_t i = 0; i < op->inputs; ++i) {
    if (op->input[i] == x && distance(op, x, kq_signatures[op->kind].operands[i].overlap) > below) return false;
  }
  return true;
}
