/* The kernels for AArch64, by name. */
#ifndef KQ_NEON_KERNELS_H
#define KQ_NEON_KERNELS_H

#include "../packed/kq_split.h"

#define KQ_NEON_KERNELS(X) X(kq_conv_2d_neon) X(kq_depthwise_conv_2d_neon) X(kq_dense_neon) X(kq_max_pool_2d_neon)
#define KQ_DOTPROD_KERNELS(X) X(kq_conv_2d_dotprod) X(kq_dense_dotprod)

/* How the work of some of them is divided (kq_split.h). */
#define KQ_NEON_SPLITS(X) X(kq_split_conv_2d_neon) X(kq_split_depthwise_conv_2d_neon)
#define KQ_DOTPROD_SPLITS(X) X(kq_split_conv_2d_dotprod)

#define KQ_DECLARE_NEON_KERNEL(name) extern const kq_kernel name;
KQ_NEON_KERNELS(KQ_DECLARE_NEON_KERNEL)
KQ_DOTPROD_KERNELS(KQ_DECLARE_NEON_KERNEL)
#define KQ_DECLARE_NEON_SPLIT(name) extern const kq_split name;
KQ_NEON_SPLITS(KQ_DECLARE_NEON_SPLIT)
KQ_DOTPROD_SPLITS(KQ_DECLARE_NEON_SPLIT)

#endif
