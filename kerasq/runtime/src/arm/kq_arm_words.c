/* Windows of four pixels whose channels make whole words: they are widened where they lie. */
#include "kq_arm_conv.h"

#ifndef __OPTIMIZE_SIZE__ /* else tap by tap, wherever they lie */
/* Rows of four windows that lie inside the input. */
static void widen_rows(const kq_arm_convolution *conv, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t *turns) {
  const kq_operator *op = conv->op;
  const uint32_t *shape = op->input[KQ_X]->shape;
  const uint32_t run = op->window[1] * shape[3], next = op->dilations[0] * shape[2] * shape[3] - run;
  for (uint32_t row = op->window[0]; row > 0; --row) {
    turns = conv->widen(turns, pixels, run / 4);
    for (int i = 0; i < KQ_ARM_PIXELS; ++i) pixels[i] += next;
  }
}
#endif

/* Tap by tap; taps beside the input are the zero of the operator. */
static void widen_taps(const kq_arm_convolution *conv, const kq_arm_origin at[KQ_ARM_PIXELS], uint32_t *turns) {
  const kq_operator *op = conv->op;
  const uint32_t *shape = op->input[KQ_X]->shape;
  for (uint32_t row = 0; row < op->window[0]; ++row) {
    for (uint32_t column = 0; column < op->window[1]; ++column) {
      const uint8_t *pixels[KQ_ARM_PIXELS];
      for (int i = 0; i < KQ_ARM_PIXELS; ++i) {
        const uint32_t y = (uint32_t)at[i].row + row * op->dilations[0], x = (uint32_t)at[i].column + column * op->dilations[1];
        pixels[i] = y < shape[1] && x < shape[2] ? conv->input + (y * shape[2] + x) * shape[3] : conv->windows;
      }
      turns = conv->widen(turns, pixels, shape[3] / 4);
    }
  }
}

void kq_arm_fetch_words(kq_arm_convolution *conv, uint32_t pixel, uint32_t count) {
  uint32_t *const turns = conv->turns;
  const uint32_t *shape = conv->op->input[KQ_X]->shape;
  const uint8_t *pixels[KQ_ARM_PIXELS];
  if (KQ_UNROLL(conv->cursor.is_pointwise, false)) {
    pixels[0] = conv->input + pixel * shape[3];
    for (int i = 1; i < KQ_ARM_PIXELS; ++i) pixels[i] = pixels[i - 1] + ((uint32_t)i < count ? shape[3] : 0);
    conv->widen(turns, pixels, conv->words);
    return;
  }
  kq_arm_origin at[KQ_ARM_PIXELS];
  const bool inside = kq_arm_next_origins(conv->op, &conv->cursor, count, at, KQ_ARM_PIXELS);
#ifndef __OPTIMIZE_SIZE__
  if (inside && conv->op->dilations[1] == 1) {
    for (int i = 0; i < KQ_ARM_PIXELS; ++i) {
      pixels[i] = conv->input + ((uint32_t)at[i].row * shape[2] + (uint32_t)at[i].column) * shape[3];
    }
    widen_rows(conv, pixels, turns);
    return;
  }
#endif
  (void)inside;
  widen_taps(conv, at, turns);
}
