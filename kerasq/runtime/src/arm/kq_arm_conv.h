/* Convolutions of 8-bit inputs by weights of 8, 4 or 2 bits, all channels in one group, four output pixels at a time. */
#ifndef KQ_ARM_CONV_H
#define KQ_ARM_CONV_H

#include "kq_arm_block.h"
#include "kq_arm_products.h"

typedef uint32_t *(*kq_arm_widen)(uint32_t *turns, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t words);

struct kq_arm_method;

/* One that runs. */
typedef struct {
  const struct kq_arm_method *method;
  const kq_operator *op;
  const uint8_t *input, *addend, *weights;
  uint8_t *output;
  kq_arm_widen widen;
  kq_arm_channel *channels;
  uint32_t *turns;
  uint8_t *windows, *arranged, *results; /* windows: copies, or one tap beside the input */
  uint32_t words; /* of a window */
  kq_arm_cursor cursor;
} kq_arm_convolution;

/* What makes kernels different. */
typedef struct kq_arm_method {
  kq_arm_choose choose;
  kq_arm_multiply multiply;
  /* Widens the windows of the next `count` pixels, from number `pixel` on. */
  void (*fetch)(kq_arm_convolution *conv, uint32_t pixel, uint32_t count);
  /* Weights as the products read them, in the memory or as they are; NULL for those that are always right. */
  const uint8_t *(*arrange)(const kq_tensor *kernel, uint8_t *memory, uint32_t words);
} kq_arm_method;

/* Where they lie, for channels that make whole words; and copied together first, for all others. */
void kq_arm_fetch_words(kq_arm_convolution *conv, uint32_t pixel, uint32_t count);
void kq_arm_fetch_copies(kq_arm_convolution *conv, uint32_t pixel, uint32_t count);

/* Whether an operator can be computed so, without and with an addend, and the scratch memory that it takes. */
bool kq_arm_can_convolve(const kq_operator *op);
bool kq_arm_can_convolve_with_addend(const kq_operator *op);
size_t kq_arm_conv_scratch(const kq_operator *op);

/* op->kernel->inner widens inputs. */
void kq_arm_convolve(const kq_operator *op, uint8_t *arena, const kq_arm_method *method);

/* A kernel, `widen` what widens its inputs; of 8-bit weights, or of others. */
#define KQ_ARM_CONVOLUTION(kernel, type_of_x, layout, can, compute, widen) \
  KQ_ARM_CONVOLUTION_OF(KQ_FIXED8, kernel, type_of_x, layout, can, compute, widen)
#define KQ_ARM_CONVOLUTION_OF(type_of_weight, kernel, type_of_x, layout, can, compute, widen) \
  const kq_kernel kernel = {                                               \
      .name = #kernel,                                                     \
      .kind = KQ_CONV_2D,                                                  \
      .input_type = type_of_x,                                             \
      .weight_type = type_of_weight,                                       \
      .weight_layout = layout,                                             \
      .accumulator_bits = 32,                                              \
      .accepts = can,                                                      \
      .scratch_bytes = kq_arm_conv_scratch,                                \
      .run = compute,                                                      \
      .inner = (void (*)(void))widen,                                      \
  };

#endif
