/* The kernels in C99, by name: for lists of only those that a program needs, as kerasq-convert --emit_c writes them. The names
 * say kind, input and weights (s8: FIXED8, u8: UFIXED8, s16: FIXED16, u16: UFIXED16, s4: FIXED4, s2: FIXED2, sign: SIGN). `wide`
 * kernels sum in 64 bits, `to_float` kernels compute in integers for a FLOAT32 output, `float` kernels compute in float. `mixed`
 * kernels take FLOAT32 and fixed values side by side: what all other kernels of the kind leave. They compute in integers where all
 * inputs are fixed, else in float. */
#ifndef KERASQ_KERNELS_H
#define KERASQ_KERNELS_H

#include "kerasq.h"

/* X(name) for each. */
#define KQ_WEIGHTED_KERNELS(X, kind)                                                                        \
  X(kind##_s8_s8) X(kind##_s8_sign) X(kind##_s8_s4) X(kind##_s8_s16) X(kind##_s8_s2)                        \
  X(kind##_u8_s8) X(kind##_u8_sign) X(kind##_u8_s4) X(kind##_u8_s16) X(kind##_u8_s2)                        \
  X(kind##_s16_s8) X(kind##_s16_sign) X(kind##_s16_s4) X(kind##_s16_s16) X(kind##_s16_s2)                   \
  X(kind##_u16_s8) X(kind##_u16_sign) X(kind##_u16_s4) X(kind##_u16_s16) X(kind##_u16_s2)                   \
  X(kind##_wide) X(kind##_to_float) X(kind##_float)

#define KQ_OTHER_KERNELS(X)                                                                                 \
  X(kq_conv_2d_pairs) X(kq_add) X(kq_add_mixed) X(kq_max_pool_2d) X(kq_max_pool_2d_float) X(kq_average_pool_2d)                 \
  X(kq_average_pool_2d_mixed) X(kq_reshape) X(kq_reshape_float) X(kq_softmax) X(kq_softmax_float)           \
  X(kq_quantize) X(kq_quantize_mixed) X(kq_mul) X(kq_mul_mixed) X(kq_concat) X(kq_concat_mixed)             \
  X(kq_transpose) X(kq_transpose_float) X(kq_lookup) X(kq_argmax) X(kq_argmax_mixed) X(kq_gather) X(kq_gather_mixed)        \
  X(kq_normalize) X(kq_normalize_float)

#define KQ_PORTABLE_KERNELS(X) \
  KQ_WEIGHTED_KERNELS(X, kq_conv_2d) KQ_WEIGHTED_KERNELS(X, kq_dense) KQ_OTHER_KERNELS(X)

/* Kernels for Armv7E-M and Armv8-M with the DSP extension (Cortex-M4, M7, M33), to come before the portable ones in a list. They ask
 * for scratch memory in the arena. Other machines run them, too, in C. */
#define KQ_DSP_KERNELS(X)                                                                                   \
  X(kq_conv_2d_s8_s8_dsp) X(kq_conv_2d_u8_s8_dsp) X(kq_conv_2d_s8_s8_addend_dsp) X(kq_conv_2d_u8_s8_addend_dsp)                 \
  X(kq_conv_2d_s8_s8_pairs_dsp) X(kq_conv_2d_u8_s8_pairs_dsp)                                                \
  X(kq_conv_2d_s8_s8_pairs_addend_dsp) X(kq_conv_2d_u8_s8_pairs_addend_dsp)                                  \
  X(kq_conv_2d_s8_s8_copied_pairs_dsp) X(kq_conv_2d_u8_s8_copied_pairs_dsp)                                                \
  X(kq_conv_2d_s8_s8_copied_pairs_addend_dsp) X(kq_conv_2d_u8_s8_copied_pairs_addend_dsp)                                  \
  X(kq_conv_2d_s8_s2_dsp) X(kq_conv_2d_u8_s2_dsp) X(kq_conv_2d_s8_s2_addend_dsp) X(kq_conv_2d_u8_s2_addend_dsp)             \
  X(kq_conv_2d_s8_s4_dsp) X(kq_conv_2d_u8_s4_dsp) X(kq_conv_2d_s8_s4_addend_dsp) X(kq_conv_2d_u8_s4_addend_dsp)             \
  X(kq_conv_2d_s8_sign_dsp) X(kq_conv_2d_u8_sign_dsp) X(kq_conv_2d_s8_sign_addend_dsp) X(kq_conv_2d_u8_sign_addend_dsp)         \
  X(kq_conv_2d_depthwise_3x3_s8_dsp) X(kq_conv_2d_depthwise_3x3_u8_dsp)                                        \
  X(kq_conv_2d_depthwise_s8_dsp) X(kq_conv_2d_depthwise_u8_dsp)                                             \
  X(kq_dense_dsp) X(kq_dense_rows_dsp) X(kq_max_pool_2d_dsp) X(kq_average_pool_2d_dsp) X(kq_add_dsp) X(kq_lookup_dsp)

#ifdef __cplusplus
extern "C" {
#endif

/* Their names in version 0.1.0, for lists that were written then. */
#define kq_add_float kq_add_mixed
#define kq_mul_float kq_mul_mixed
#define kq_concat_float kq_concat_mixed
#define kq_quantize_float kq_quantize_mixed
#define kq_average_pool_2d_float kq_average_pool_2d_mixed

#define KQ_DECLARE_KERNEL(name) extern const kq_kernel name;
KQ_PORTABLE_KERNELS(KQ_DECLARE_KERNEL)
KQ_DSP_KERNELS(KQ_DECLARE_KERNEL)

#ifdef __cplusplus
}
#endif
#endif
