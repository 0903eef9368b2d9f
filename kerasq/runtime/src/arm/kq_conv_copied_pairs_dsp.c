/* As kq_conv_pairs_dsp.c, where channels make no whole words. */
#include "kq_arm_conv.h"

static bool accepts(const kq_operator *op) { return op->input[KQ_X]->shape[3] % 4 != 0 && kq_arm_can_convolve(op); }
static bool accepts_addend(const kq_operator *op) {
  return op->input[KQ_X]->shape[3] % 4 != 0 && kq_arm_can_convolve_with_addend(op);
}

static const kq_arm_method plain = {kq_arm_choose_finish, kq_arm_pair_products, kq_arm_fetch_copies, NULL};
static void run(const kq_operator *op, uint8_t *arena) { kq_arm_convolve(op, arena, &plain); }

static const kq_arm_method with_addend = {kq_arm_choose_finish_with_addend, kq_arm_pair_products, kq_arm_fetch_copies, NULL};
static void run_addend(const kq_operator *op, uint8_t *arena) { kq_arm_convolve(op, arena, &with_addend); }

KQ_ARM_CONVOLUTION(kq_conv_2d_s8_s8_copied_pairs_dsp, KQ_FIXED8, KQ_LAYOUT_PAIRS, accepts, run, kq_arm_widen_s8)
KQ_ARM_CONVOLUTION(kq_conv_2d_s8_s8_copied_pairs_addend_dsp, KQ_FIXED8, KQ_LAYOUT_PAIRS, accepts_addend, run_addend, kq_arm_widen_s8)
KQ_ARM_CONVOLUTION(kq_conv_2d_u8_s8_copied_pairs_dsp, KQ_UFIXED8, KQ_LAYOUT_PAIRS, accepts, run, kq_arm_widen_u8)
KQ_ARM_CONVOLUTION(kq_conv_2d_u8_s8_copied_pairs_addend_dsp, KQ_UFIXED8, KQ_LAYOUT_PAIRS, accepts_addend, run_addend, kq_arm_widen_u8)
