/* CONV_2D of 8-bit inputs by weights of 2 or 4 bits, all channels in one group: four output pixels by a channel at a time
 * (kq_arm_short.h). */
#include "kq_arm_conv.h"
#include "kq_arm_short.h"

/* Rows of weights that begin anywhere, as rows of whole words. */
static const uint8_t *aligned_weights(const kq_tensor *kernel, uint8_t *memory, uint32_t words) {
  const uint32_t outputs = kernel->shape[0], weights = kernel->elements / outputs, bits = (uint32_t)kq_bits(kernel->type);
  const uint32_t row = weights * bits, bytes = words * bits / 2; /* 4 inputs a word, in bits / 2 bytes of weights */
  if (row % 32 == 0) return kernel->data;
  for (uint32_t output = 0; output < outputs; ++output) {
    const uint8_t *from = kernel->data + output * row / 8;
    const uint32_t places = output * row % 8;
    uint8_t *const to = memory + (size_t)output * bytes;
    memset(to, 0, bytes);
    for (uint32_t done = 0; done < row; done += 8, ++from) {
      const uint32_t left = row - done, used = left < 8 ? left : 8;
      uint32_t value = *from;
      if (places + used > 8) value |= (uint32_t)from[1] << 8;
      to[done / 8] = (uint8_t)(value >> places & ((1u << used) - 1));
    }
  }
  return memory;
}

static void fetch(kq_arm_convolution *conv, uint32_t pixel, uint32_t count) {
  if (conv->op->input[KQ_X]->shape[3] % (32 / (uint32_t)kq_bits(conv->op->input[KQ_KERNEL]->type)) == 0) {
    kq_arm_fetch_words(conv, pixel, count);
  } else {
    kq_arm_fetch_copies(conv, pixel, count);
  }
}

/* What a type of weights is computed with, and the kernels, under the names that c_runtime.py looks for. */
#define METHODS(weight)                                                                                                        \
  static const kq_arm_method plain_##weight = {kq_arm_choose_finish, kq_arm_products_##weight, fetch, aligned_weights};        \
  static void run_##weight(const kq_operator *op, uint8_t *arena) { kq_arm_convolve(op, arena, &plain_##weight); }             \
  static const kq_arm_method with_addend_##weight = {kq_arm_choose_finish_with_addend, kq_arm_products_##weight, fetch,        \
                                                     aligned_weights};                                                         \
  static void run_addend_##weight(const kq_operator *op, uint8_t *arena) { kq_arm_convolve(op, arena, &with_addend_##weight); }
#define PLAIN(kernel, type_of_x, weight, type_of_weight, widen)                                                         \
  KQ_ARM_CONVOLUTION_OF(type_of_weight, kernel, type_of_x, KQ_LAYOUT_ROWS, kq_arm_can_convolve, run_##weight, widen)
#define WITH_ADDEND(kernel, type_of_x, weight, type_of_weight, widen)                                                   \
  KQ_ARM_CONVOLUTION_OF(type_of_weight, kernel, type_of_x, KQ_LAYOUT_ROWS, kq_arm_can_convolve_with_addend,             \
                        run_addend_##weight, widen)

METHODS(s2)
METHODS(s4)

PLAIN(kq_conv_2d_s8_s2_dsp, KQ_FIXED8, s2, KQ_FIXED2, kq_arm_widen_s8_s2)
PLAIN(kq_conv_2d_u8_s2_dsp, KQ_UFIXED8, s2, KQ_FIXED2, kq_arm_widen_u8_s2)
PLAIN(kq_conv_2d_s8_s4_dsp, KQ_FIXED8, s4, KQ_FIXED4, kq_arm_widen_s8_s4)
PLAIN(kq_conv_2d_u8_s4_dsp, KQ_UFIXED8, s4, KQ_FIXED4, kq_arm_widen_u8_s4)
WITH_ADDEND(kq_conv_2d_s8_s2_addend_dsp, KQ_FIXED8, s2, KQ_FIXED2, kq_arm_widen_s8_s2)
WITH_ADDEND(kq_conv_2d_u8_s2_addend_dsp, KQ_UFIXED8, s2, KQ_FIXED2, kq_arm_widen_u8_s2)
WITH_ADDEND(kq_conv_2d_s8_s4_addend_dsp, KQ_FIXED8, s4, KQ_FIXED4, kq_arm_widen_s8_s4)
WITH_ADDEND(kq_conv_2d_u8_s4_addend_dsp, KQ_UFIXED8, s4, KQ_FIXED4, kq_arm_widen_u8_s4)
