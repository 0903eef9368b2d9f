/* Convolution, depthwise convolution and Dense for AArch64, as the matrix product of packed/kq_gemm.h: the same steps of 16 output
 * channels, the same copy of the input, the same ways from sums to outputs. What differs is how a step is multiplied:
 *
 *     bytes, SDOT      four products of an output channel are added to its sum at once: 4 instructions for the 16 channels
 *     bytes, without   products in 16 bits (SMULL), those of `chunk` steps together (SMLAL), then neighbours added in 32 bits
 *                      (SADALP): an input and a weight are at most 128, so that 32767 / (128 * largest weight) steps fit
 *     16 bits          SMLAL by one input, two for a step
 *     depthwise        SMLAL channel by channel, two taps for a step
 *
 * A tile is 4 output pixels by 16 channels, or by 8 where a block has no more: its sums stay in registers. */
#ifndef KQ_NEON_H
#define KQ_NEON_H

#include <arm_neon.h>

#include "../packed/kq_gemm.h"

#define KQ_INLINE static inline __attribute__((always_inline))

enum { KQ_TILE = 4, KQ_QUARTERS = 4 }; /* pixels of a tile; vectors of 4 sums for a pixel */

/* The sums of a pixel. */
typedef struct {
  int32x4_t quarter[KQ_QUARTERS];
} kq_neon_sums;

/* One block's steps. */
typedef struct {
  const int32_t *place;
  const uint8_t *weights;
  const int32_t *start; /* values that the sums begin at */
  uint32_t steps, chunk;
  bool narrow; /* no more than 8 channels: the last two quarters don't matter */
  bool single; /* one pixel: the sums of the others don't matter */
} kq_neon_work;

/* Makes the sums of a tile from the first inputs under its windows. */
typedef void (*kq_neon_add)(const kq_neon_work *work, const uint8_t *const x[KQ_TILE], kq_neon_sums sums[KQ_TILE]);
void kq_neon_add_words(const kq_neon_work *work, const uint8_t *const x[KQ_TILE], kq_neon_sums sums[KQ_TILE]);

/* The functions of all kernels, by the kernel's `inner` where steps are not of 16-bit words: an example; several of a Dense layer; a
 * piece of a convolution. */
void kq_neon_run(const kq_operator *op, uint8_t *arena);
void kq_neon_run_several(const kq_operator *op, uint8_t *arenas, size_t step, uint32_t examples);
void kq_neon_compute_piece(const kq_piece *piece);

#define KQ_NEON_KERNEL(constant, of_kind, accepted, made_of_constants, add_steps, several) \
  const kq_kernel constant = {                                                             \
    .name = #constant,                                                                     \
    .kind = of_kind,                                                                       \
    .input_type = KQ_ANY,                                                                  \
    .weight_type = KQ_ANY,                                                                 \
    .weight_layout = KQ_ANY_LAYOUT,                                                        \
    .accumulator_bits = 32,                                                                \
    .accepts = accepted,                                                                   \
    .packing = made_of_constants,                                                          \
    .scratch_bytes = kq_gemm_scratch_bytes,                                                \
    .run = kq_neon_run,                                                                    \
    .run_several = several,                                                                \
    .inner = (void (*)(void))add_steps,                                                    \
  };
#define KQ_NEON_SPLIT(constant, of_kernel, cost_of_product) \
  KQ_GEMM_SPLIT(constant, of_kernel, cost_of_product, kq_neon_compute_piece)

/* From sums to outputs: KQ_FINISH_32 without a multiplier and with one, KQ_FINISH_FMA, KQ_FINISH_64, KQ_FINISH_ANY. */
typedef enum { KQ_NEON_SHIFTED, KQ_NEON_INTEGERS, KQ_NEON_FLOATS, KQ_NEON_WIDE, KQ_NEON_ANY } kq_neon_way;

/* The addends of a block. */
typedef struct {
  const uint8_t *first; /* of pixel 0; NULL: there are none */
  size_t next;          /* bytes from one pixel to the next */
  uint8_t type;
} kq_neon_addends;

/* What makes outputs of the sums of a block. */
typedef struct {
  const kq_operator *op;
  const kq_gemm *gemm;
  const kq_block *block;
  kq_neon_way how;
  int32x4_t factor[KQ_QUARTERS], offset[KQ_QUARTERS]; /* integers, or the bits of floats */
  const int64_t *wide_offset;
  kq_neon_addends addends;
  uint8_t *output, *first; /* of the operator; of the block in pixel 0 */
  size_t next;
  uint32_t channels;
  uint8_t type;
  int16x8_t low, high; /* limits, which lie in the type's range */
} kq_neon_finish;
void kq_neon_set_finish(kq_neon_finish *finish, const kq_operator *op, const kq_gemm *gemm, uint32_t number, uint8_t *output);

/* The outputs of `count` pixels from number `pixel` on. */
void kq_neon_put(const kq_neon_finish *finish, uint32_t pixel, uint32_t count, const kq_neon_sums sums[KQ_TILE]);

/* 4 bytes of input to all lanes. */
KQ_INLINE int8x16_t kq_broadcast(const uint8_t *x) {
  int32_t bits;
  memcpy(&bits, x, sizeof bits);
  return vreinterpretq_s8_s32(vdupq_n_s32(bits));
}

/* Loads of 16 bytes: what they are is told by the vector, not by a pointer that would have to be aligned. */
KQ_INLINE int8x16_t kq_load_bytes(const uint8_t *from) { return vreinterpretq_s8_u8(vld1q_u8(from)); }
KQ_INLINE int16x8_t kq_load_words(const uint8_t *from) { return vreinterpretq_s16_u8(vld1q_u8(from)); }

#endif
