/* CONV_2D of 8-bit inputs by 8-bit weights, all channels in one group: four output pixels by a channel at a time
 * (kq_arm_products.h). */
#include "kq_arm_conv.h"

/* Rows of weights that begin anywhere, as rows of whole words. */
static const uint8_t *aligned_weights(const kq_tensor *kernel, uint8_t *memory, uint32_t words) {
  const uint32_t outputs = kernel->shape[0], row = kernel->elements / outputs;
  if (row % 4 == 0) return kernel->data;
  for (uint32_t output = 0; output < outputs; ++output) {
    uint8_t *to = memory + (size_t)output * words * 4;
    kq_store_word(to + (words - 1) * 4, 0);
    kq_arm_copy(to, kernel->data + (size_t)output * row, row);
  }
  return memory;
}

static void fetch(kq_arm_convolution *conv, uint32_t pixel, uint32_t count) {
  if (conv->op->input[KQ_X]->shape[3] % 4 == 0) {
    kq_arm_fetch_words(conv, pixel, count);
  } else {
    kq_arm_fetch_copies(conv, pixel, count);
  }
}

static const kq_arm_method plain = {kq_arm_choose_finish, kq_arm_products, fetch, aligned_weights};
static void run(const kq_operator *op, uint8_t *arena) { kq_arm_convolve(op, arena, &plain); }

static const kq_arm_method with_addend = {kq_arm_choose_finish_with_addend, kq_arm_products, fetch, aligned_weights};
static void run_addend(const kq_operator *op, uint8_t *arena) { kq_arm_convolve(op, arena, &with_addend); }

KQ_ARM_CONVOLUTION(kq_conv_2d_s8_s8_dsp, KQ_FIXED8, KQ_LAYOUT_ROWS, kq_arm_can_convolve, run, kq_arm_widen_s8)
KQ_ARM_CONVOLUTION(kq_conv_2d_s8_s8_addend_dsp, KQ_FIXED8, KQ_LAYOUT_ROWS, kq_arm_can_convolve_with_addend, run_addend, kq_arm_widen_s8)
KQ_ARM_CONVOLUTION(kq_conv_2d_u8_s8_dsp, KQ_UFIXED8, KQ_LAYOUT_ROWS, kq_arm_can_convolve, run, kq_arm_widen_u8)
KQ_ARM_CONVOLUTION(kq_conv_2d_u8_s8_addend_dsp, KQ_UFIXED8, KQ_LAYOUT_ROWS, kq_arm_can_convolve_with_addend, run_addend, kq_arm_widen_u8)
