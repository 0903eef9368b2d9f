/* The kernels for x86-64, by name. */
#ifndef KQ_X86_KERNELS_H
#define KQ_X86_KERNELS_H

#include "../packed/kq_split.h"

#define KQ_AVX2_KERNELS(X)                                                                                             \
  X(kq_conv_2d_3x3_avx2) X(kq_conv_2d_avx2) X(kq_depthwise_bytes_avx2) X(kq_depthwise_conv_2d_avx2) X(kq_dense_avx2) X(kq_add_avx2)           \
  X(kq_add_float_avx2) X(kq_quantize_avx2) X(kq_concat_avx2) X(kq_mul_avx2) X(kq_lookup_bytes_avx2)                    \
  X(kq_lookup_words_avx2) X(kq_transpose_avx2) X(kq_softmax_avx2) X(kq_max_pool_2d_avx2) X(kq_max_pool_2d_float_avx2)  \
  X(kq_average_pool_2d_avx2)
#define KQ_AVX512_KERNELS(X)                                                                                           \
  X(kq_conv_2d_avx512) X(kq_depthwise_bytes_avx512) X(kq_dense_avx512) X(kq_max_pool_2d_avx512)

/* How the work of some of them is divided (kq_split.h). */
#define KQ_AVX2_SPLITS(X)                                                                              \
  X(kq_split_conv_2d_3x3_avx2) X(kq_split_conv_2d_avx2) X(kq_split_depthwise_bytes_avx2)               \
  X(kq_split_depthwise_conv_2d_avx2)
#define KQ_AVX512_SPLITS(X) X(kq_split_conv_2d_avx512) X(kq_split_depthwise_bytes_avx512)

#define KQ_DECLARE_X86_KERNEL(name) extern const kq_kernel name;
KQ_AVX2_KERNELS(KQ_DECLARE_X86_KERNEL)
KQ_AVX512_KERNELS(KQ_DECLARE_X86_KERNEL)
#define KQ_DECLARE_X86_SPLIT(name) extern const kq_split name;
KQ_AVX2_SPLITS(KQ_DECLARE_X86_SPLIT)
KQ_AVX512_SPLITS(KQ_DECLARE_X86_SPLIT)

#endif
