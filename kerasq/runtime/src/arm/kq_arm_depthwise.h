/* Depthwise convolutions, four channels at a time: a word of input holds one value of each. */
#ifndef KQ_ARM_DEPTHWISE_H
#define KQ_ARM_DEPTHWISE_H

#include "kq_arm_block.h"
#include "kq_arm_finish.h"

enum { KQ_ARM_QUAD = 4 };

/* Whether a convolution is depthwise, of channels that make whole words, and its output may be written four channels of all pixels
 * after the other. Where the output lies over the input that must be a whole number of pixels ahead: then bytes that are
 * overwritten belong to the same four channels, and of these rows are written in raster order. */
bool kq_arm_is_depthwise(const kq_operator *op);

/* Whether it has a 3x3 window whose middle row always lies inside the input. */
bool kq_arm_is_depthwise_3x3(const kq_operator *op);

static inline uint32_t kq_arm_pair(int32_t low, int32_t high) { return ((uint32_t)low & 0xFFFFu) | (uint32_t)high << 16; }

#endif
