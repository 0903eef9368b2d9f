/* CONV_2D of 8-bit inputs by 8-bit weights, all channels in one group: four output pixels by a channel at a time
 * (kq_arm_products.h). */
#include "kq_arm_conv.h"

static void run(const kq_operator *op, uint8_t *arena) { kq_arm_convolve(op, arena, kq_arm_choose_finish, kq_arm_products); }
static void run_addend(const kq_operator *op, uint8_t *arena) {
  kq_arm_convolve(op, arena, kq_arm_choose_finish_with_addend, kq_arm_products);
}

#define KERNEL(kernel, type_of_x, can, compute, widen)          \
  const kq_kernel kernel = {                                    \
      .name = #kernel,                                          \
      .kind = KQ_CONV_2D,                                       \
      .input_type = type_of_x,                                  \
      .weight_type = KQ_FIXED8,                                 \
      .weight_layout = KQ_LAYOUT_ROWS,                          \
      .accumulator_bits = 32,                                   \
      .accepts = can,                                           \
      .scratch_bytes = kq_arm_conv_scratch,                     \
      .run = compute,                                           \
      .inner = (void (*)(void))widen,                           \
  };
KERNEL(kq_conv_2d_s8_s8_dsp, KQ_FIXED8, kq_arm_can_convolve, run, kq_arm_widen_s8)
KERNEL(kq_conv_2d_s8_s8_addend_dsp, KQ_FIXED8, kq_arm_can_convolve_with_addend, run_addend, kq_arm_widen_s8)
KERNEL(kq_conv_2d_u8_s8_dsp, KQ_UFIXED8, kq_arm_can_convolve, run, kq_arm_widen_u8)
KERNEL(kq_conv_2d_u8_s8_addend_dsp, KQ_UFIXED8, kq_arm_can_convolve_with_addend, run_addend, kq_arm_widen_u8)
