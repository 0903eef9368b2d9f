/* Where an operator's output may lie over an input that nobody needs afterwards: kerasq/verification/overlap.py has the derivation.
 *
 *     D = max over r of (r W s - rows(r)) + max over c of (c s - columns(c)) + own
 *
 * with W the output's width, s the bytes of an output pixel, rows(r) and columns(c) where the window of row r and column c begins
 * in the input, and own = s, or where a channel of the output reads only the same channel of the input, what wider values add. Each
 * maximum is one of a line less a convex function: it is at an end or on either side of the kink. */
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
  int64_t found = 0; /* of position 0 */
  for (uint32_t i = 0; i < 3; ++i) {
    const int64_t inside = places[i] * stride - padding, value = places[i] * gain - (inside > 0 ? inside * loss : 0);
    if (value > found) found = value;
  }
  return found;
}

static int64_t window_distance(const kq_operator *op, const kq_tensor *x) {
  const uint32_t channels = op->output->shape[3];
  const bool by_channel = op->kind != KQ_CONV_2D || (op->groups == x->shape[3] && op->groups == channels);
  const int64_t pixel = (int64_t)channels * value_bytes(op->output), x_pixel = (int64_t)x->shape[3] * value_bytes(x);
  return largest(op, 0, op->output->shape[2] * pixel, x->shape[2] * x_pixel) + largest(op, 1, pixel, x_pixel) +
         (by_channel ? beside_values(op, x, channels) : pixel);
}

bool kq_may_overlap(const kq_operator *op, const kq_tensor *x) {
  const int64_t below = (int64_t)x->offset - op->output->offset;
  const int64_t by_value = beside_values(op, x, op->output->bytes / value_bytes(op->output));
  switch (op->kind) {
    case KQ_MUL: /* not one value per channel, which is read for every pixel */
      return x->bytes / value_bytes(x) == op->output->bytes / value_bytes(op->output) && by_value <= below;
    case KQ_ADD:
    case KQ_LOOKUP:
    case KQ_RESHAPE:
    case KQ_SOFTMAX:
    case KQ_QUANTIZE: return by_value <= below;
    case KQ_CONV_2D: return (x != op->input[4] || by_value <= below) && (x != op->input[0] || window_distance(op, x) <= below);
    case KQ_MAX_POOL_2D:
    case KQ_AVERAGE_POOL_2D: return window_distance(op, x) <= below;
    default: return false; /* CONCAT, TRANSPOSE: written in another order than read; DENSE: all is read for every output */
  }
}
