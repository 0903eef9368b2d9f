/* Windows of four pixels whose channels make no whole words: they are copied first. */
#include "kq_arm_conv.h"

void kq_arm_fetch_copies(kq_arm_convolution *conv, uint32_t pixel, uint32_t count) {
  (void)pixel;
  kq_arm_origin at[KQ_ARM_PIXELS];
  const uint8_t *pixels[KQ_ARM_PIXELS];
  const size_t bytes = (size_t)conv->words * 4;
  kq_arm_next_origins(conv->op, &conv->cursor, count, at, KQ_ARM_PIXELS);
  for (int i = 0; i < KQ_ARM_PIXELS; ++i) {
    pixels[i] = conv->windows + (size_t)i * bytes;
    kq_arm_copy_window(conv->op, conv->input, at[i], conv->windows + (size_t)i * bytes, bytes);
  }
  conv->widen(conv->turns, pixels, conv->words);
}
