/* Where an operator's output may lie over an input that nobody needs afterwards: kerasq/verification/overlap.py has the
 * derivation, and the operator's signature how it reads each operand.
 *
 *     D = max over r of (r W s - rows(r)) + max over c of (c s - columns(c)) + own
 *
 * with W the output's width, s the bytes of an output pixel, rows(r) and columns(c) where the window of row r and column c begins
 * in the input, and own = s, or where a channel of the output reads only the same channel of the input, what wider values add.
 * Each maximum is one of a line less a convex function: it is at an end or on either side of the kink. */
#include "kq_verify.h"

static uint32_t value_bytes(const kq_tensor *tensor) { return (uint32_t)kq_bits(tensor->type) / 8; }

/* What wider values of the output add over so many that follow each other. */
static int64_t beside_values(const kq_operator *op, const kq_tensor *x, uint32_t values) {
  const uint32_t x_bytes = value_bytes(x), y_bytes = value_bytes(op->output);
  return y_bytes > x_bytes ? (int64_t)(values - 1) * (y_bytes - x_bytes) : 0;
}

/* The largest of i gain - loss max(0, i stride - padding) over the output's positions along an axis. */
static int64_t largest(const kq_operator *op, unsigned axis, int64_t gain, int64_t loss) {
  const int64_t last = (int64_t)op->output->shape[1 + axis] - 1;
  const int64_t stride = op->strides[axis], padding = op->padding[2 * axis], kink = padding / stride;
  const int64_t places[] = {kink < last ? kink : last, kink + 1 < last ? kink + 1 : last, last};
  int64_t most = 0; /* of position 0 */
  for (uint32_t i = 0; i < 3; ++i) {
    const int64_t inside = places[i] * stride - padding, value = places[i] * gain - (inside > 0 ? inside * loss : 0);
    if (value > most) most = value;
  }
  return most;
}

/* By how many bytes the output must begin below an operand that is read in one of the ways of KQ_OVERLAP; FAR where it must not
 * touch it. */
#define FAR INT64_MAX
static int64_t distance(const kq_operator *op, const kq_tensor *x, uint8_t overlap) {
  const kq_tensor *y = op->output;
  const bool slides = overlap == KQ_OVERLAP_WINDOW || overlap == KQ_OVERLAP_WINDOW_OF_CHANNEL;
  const uint32_t values = slides ? y->shape[3] : y->bytes / value_bytes(y);
  const int64_t pixel = (int64_t)y->shape[3] * value_bytes(y), x_pixel = (int64_t)x->shape[3] * value_bytes(x);
  int64_t own = beside_values(op, x, values);
  if (overlap == KQ_OVERLAP_NEVER) return FAR;
  if (!slides) return x->bytes / value_bytes(x) == values ? own : FAR; /* else one per channel, which is read for every pixel */
  if (overlap == KQ_OVERLAP_WINDOW && (op->groups != x->shape[3] || op->groups != y->shape[3])) own = pixel;
  return largest(op, 0, y->shape[2] * pixel, x->shape[2] * x_pixel) + largest(op, 1, pixel, x_pixel) + own;
}

bool kq_may_overlap(const kq_operator *op, const kq_tensor *x) {
  const int64_t below = (int64_t)x->offset - op->output->offset;
  for (uint32_t i = 0; i < op->inputs; ++i) {
    if (op->input[i] == x && distance(op, x, kq_signatures[op->kind].operands[i].overlap) > below) return false;
  }
  return true;
}
