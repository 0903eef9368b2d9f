/* Convolution and Dense on x86-64, and on AArch64 (neon/kq_neon.h), as one kind of matrix product.
 *
 * A *step* multiplies 4 bytes of input (4 values of 8 bits, 2 of 16 or 1 float), broadcast to all lanes, by 16 output channels'
 * weights for them: 64 bytes, 4 of each channel, and adds the products into 16 sums of 32 bits. A *block* is 16 output channels
 * and the list of its steps. Where the inputs of a step lie, relative to the first input under an output pixel's window, is the
 * same for every pixel once the input has margins where taps would be absent: so it is copied to the scratch memory first, with
 * the operator's zero around it, unless it needs no margin. The copy also turns every type into what the multiplier takes:
 *
 *     FIXED8    x + 128 (bits ^ 0x80), unsigned;  sum of x w = sum of (x + 128) w - 128 (sum of w)
 *     UFIXED16  x - 32768 (bits ^ 0x8000), signed; the same with + 32768
 *
 * with the constant in the sum's start value. Sums are formed modulo 2^32: as the true sum fits (accumulator_bits is 32), it is
 * exact whatever the order, though the constant alone may not fit.
 *
 * vpmaddubsw (AVX2) adds two products in 16 bits and saturates: as u and u' are not negative, u * w0 + u' * w1 stays within
 * 255 * 128 while neither the positive weights of w0 and w1 nor the negative ones exceed 128 together. A step that breaks this for one of its channels is *wide*: its inputs of even and of odd number are multiplied as 16-bit
 * values (vpmaddwd), for 10 instructions instead of 6. Its weights have those of even numbers first, for every 8 channels. Where
 * many steps are wide the copy of the input is *doubled*, 16 bits for each value, and all steps are multiplied like this, for 8
 * instructions: the first two weights of every channel first.
 * Where weights are so small that sums of several steps fit 16 bits (SIGN: 64 steps), `chunk` says how many, and they are
 * widened once per chunk; else steps are paired (kq_gemm_pairs.c). vpdpbusd (AVX-512 VNNI) adds four products in 32 bits and
 * needs neither.
 *
 * Where sums need 64 bits (accumulator_bits is 64), inputs and weights are 16-bit integers, and weights of 16 bits are two steps,
 * w = low + 256 high, the second half of a block's steps: then the sums of KQ_WIDE_CHUNK steps fit 32 bits, whatever the inputs,
 * 255 * 2 * 128 * 32768 < 2^31, and they are added to wider ones once per chunk (kq_wide.h). */
#ifndef KQ_GEMM_H
#define KQ_GEMM_H

#include "../kq_weighted.h"
#include "kq_packing.h"
#include "kq_split.h"

enum { KQ_LANES = 16, KQ_STEP_BYTES = 64 };

/* Bytes are multiplied as unsigned ones on x86, and as signed ones on Arm: the other type's are flipped (bits ^ 0x80), which adds
 * KQ_FLIP to them. */
#ifdef __aarch64__
enum { KQ_DIRECT_BYTES = KQ_FIXED8, KQ_FLIPPED_BYTES = KQ_UFIXED8, KQ_FLIP = -128 };
#else
enum { KQ_DIRECT_BYTES = KQ_UFIXED8, KQ_FLIPPED_BYTES = KQ_FIXED8, KQ_FLIP = 128 };
#endif

/* A depthwise convolution (one input and one output channel per group) multiplies channel by channel: a step takes one or two
 * taps of 16 channels each,
 *     DEPTHWISE      two taps, inputs and weights as 16-bit integers, weights in the order that _mm256_unpacklo_epi16 and
 *                    unpackhi of the inputs of both taps give: channels 0-3 8-11, then 4-7 12-15
 *     DEPTHWISE_F32  one tap, floats */
typedef enum { KQ_STEP_U8, KQ_STEP_S16, KQ_STEP_F32, KQ_STEP_DEPTHWISE, KQ_STEP_DEPTHWISE_F32 } kq_step_type;

/* Places of a step's inputs. */
static inline uint32_t kq_step_places(kq_step_type type) { return type == KQ_STEP_DEPTHWISE ? 2 : 1; }

/* From 16 sums of a pixel to stored outputs.
 *   FINISH_32   y = clamp((sum * factor + offset) >> shift) in 32 bits; without a multiplier offset is in the sum's start value
 *   FINISH_64   the same with a 64-bit product; the shifted result fits 32 bits
 *   FINISH_FMA  the same where float32 is exact enough, with 2^shift and 2^addend_places divided by the smaller of them: sums and
 *               factors are integers of at most 2^24, and so is what is left of the bias when the rest, as a multiple of the
 *               factor, is in the sum's start value. Then sum * factor + offset is rounded once, downwards (kq_rounding.h), which
 *               never crosses an integer up to 2^24, so that its floor is the exact one; beyond, it is saturated either way
 *   FINISH_ANY  everything else, one value at a time
 *   FINISH_FLOAT sums are floats
 *   FINISH_WIDE the sums have 64 bits: the same with 64-bit products of 64-bit sums, modulo 2^64; 0 <= shift
 * An addend, shifted left by `addend_places`, is added after the factor. It is read, 16 channels of a tile of pixels at a time,
 * before the outputs of the same places are written, but after others have been: the output may be exactly where the addend is,
 * or somewhere else altogether. */
typedef enum { KQ_FINISH_32, KQ_FINISH_64, KQ_FINISH_FMA, KQ_FINISH_ANY, KQ_FINISH_FLOAT, KQ_FINISH_WIDE } kq_finish_type;

typedef struct {
  uint32_t first_channel; /* of the output */
  uint16_t channels;      /* 1 .. 16 */
  uint16_t chunk;         /* steps whose sums fit 16 bits; KQ_WIDE_CHUNK where sums have 64 */
  uint32_t x_offset;      /* bytes from a pixel's first input to its first of this block's group */
  uint32_t steps;
  uint32_t pairs;      /* the first 2 * pairs steps, two by two: their sums fit 16 bits together */
  uint32_t wide;       /* the last steps: multiplied as 16-bit values */
  uint32_t first_step; /* number of the block's first step among those of all blocks */
} kq_block;

/* What is made of a kernel alone (kq_gemm_steps.c), 64-byte aligned; the arrays follow it. */
typedef struct {
  uint32_t blocks;
  bool doubled; /* weights are for inputs of 16 bits */
  bool own_places; /* blocks have places in orders of their own; else, nearly always, all share those of the first */
  const kq_block *block;
  const int32_t *place;   /* of each step's inputs: bytes from the window's first input */
  const uint8_t *weights; /* KQ_STEP_BYTES for each step */
  const int32_t *sum;     /* 16 per block: of a channel's weights */
  const uint16_t *magnitude; /* 16 per block: of their magnitudes, see kq_upper_half */
} kq_steps;

/* What is made of all that an operator says (kq_gemm_plan.c), likewise. */
typedef struct {
  kq_packed shared; /* the kq_steps, whose pointers are repeated below */
  kq_step_type step_type;
  kq_finish_type finish;
  bool staged;
  bool doubled; /* staged as 16-bit values, places twice as far apart */
  bool own_places;
  uint32_t value_bytes;              /* of an input value as it is multiplied */
  int32_t input_offset;              /* and what is added to it for that; 0 in float */
  uint32_t staged_rows, staged_columns; /* with margins */
  uint32_t row_bytes, column_bytes;  /* from one output row's or column's window to the next */
  uint32_t pixels, columns;          /* of the output */
  uint32_t blocks;
  int32_t shift;
  bool has_factor, has_addend, wide; /* wide: sums have 64 bits */
  uint32_t halves;                   /* of the steps of a block, with weights of different size: 1 or 2 */
  int32_t addend_places;
  const kq_block *block;
  const int32_t *place;    /* of each step's inputs: bytes from the window's first input */
  const uint8_t *weights;  /* KQ_STEP_BYTES for each step */
  const int32_t *start;    /* 16 per block: start values of sums */
  const int32_t *factor;   /* 16 per block; FINISH_FLOAT and FINISH_FMA: floats */
  const int64_t *offset;   /* 16 per block; likewise; FINISH_ANY where wide: to be added to the sums */
} kq_gemm;

/* Places of a block's steps. */
static inline const int32_t *kq_places_of(const kq_gemm *gemm, const kq_block *block) {
  return gemm->place + (gemm->own_places ? block->first_step : 0);
}

/* Whether an operator is computed as a matrix product, or as a depthwise convolution. */
bool kq_gemm_accepts(const kq_operator *op);
bool kq_depthwise_accepts(const kq_operator *op);

/* Its packing; the second for vpmaddubsw. */
extern const kq_packing kq_gemm_packing, kq_gemm_saturating_packing;

/* Its second part: what follows the sums, of whatever begins with a kq_steps. */
extern const kq_part kq_gemm_finish_part;

/* ---- Between kq_gemm_steps.c and kq_gemm_plan.c ---- */

/* The input's geometry; a Dense input is one pixel of all its values. */
typedef struct {
  uint32_t rows, columns, channels;
  uint32_t padding[4];
} kq_image;
kq_image kq_image_of(const kq_operator *op);

/* Columns of the input with its margins. */
static inline uint32_t kq_staged_columns(const kq_image *in) { return in->padding[2] + in->columns + in->padding[3]; }

static inline bool kq_is_dense(const kq_operator *op) { return op->kind == KQ_DENSE; }
bool kq_is_depthwise(const kq_operator *op);
kq_step_type kq_step_type_of(const kq_operator *op);
uint32_t kq_step_value_bytes(kq_step_type type);
bool kq_is_wide(const kq_operator *op);
uint32_t kq_halves(const kq_operator *op);
uint32_t kq_blocks_of(const kq_operator *op);

/* Steps of a block. */
uint64_t kq_steps_of(const kq_operator *op);

extern const kq_part kq_gemm_steps, kq_gemm_saturating_steps;

/* The upper half of the next float above with no other bits: an upper bound of which two bytes are enough. And back. */
static inline uint16_t kq_upper_half(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)((bits >> 16) + 1);
}
static inline float kq_from_upper_half(uint16_t half) {
  const uint32_t bits = (uint32_t)half << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Whether the sums of its weights, of at most 2^15 each, fit 32 bits, whatever they are. */
static inline bool kq_sums_fit(const kq_operator *op) {
  return op->input[KQ_KERNEL]->elements / op->input[KQ_KERNEL]->shape[0] <= UINT16_MAX;
}

/* Sums of the weights of a block's channels, and of their magnitudes: of integers; floats need none. */
void kq_fill_sums(const kq_operator *op, const kq_block *block, int32_t *sum, uint16_t *magnitudes);

/* kq_gemm_finish.c: how the sums of an operator become outputs; input_offset, shift, addend_places, start, factor and offset. */
kq_finish_type kq_choose_finish(const kq_operator *op, const kq_steps *steps);
void kq_fill_finish(const kq_operator *op, kq_gemm *gemm, const kq_steps *steps);

/* Whether outputs are made of sums by FINISH_FMA, or by a shift alone. */
static inline bool kq_is_simple_finish(const kq_gemm *gemm) {
  return gemm->finish == KQ_FINISH_FMA || (gemm->finish == KQ_FINISH_32 && !gemm->has_factor);
}

/* Sums of some weights' positive values, and of the magnitudes of their negative ones. */
typedef struct {
  uint32_t positive, negative;
} kq_signed_sums;
static inline kq_signed_sums kq_signed_sums_of(const uint8_t *weights, uint32_t count) {
  kq_signed_sums sums = {0, 0};
  for (uint32_t i = 0; i < count; ++i) *(weights[i] < 128 ? &sums.positive : &sums.negative) += kq_magnitude(kq_load_s8(weights + i));
  return sums;
}
static inline uint32_t kq_larger_of(kq_signed_sums sums) { return sums.positive > sums.negative ? sums.positive : sums.negative; }

/* The larger of w0's and w1's that vpmaddubsw adds without saturation, whatever the inputs; and whether a step has larger pairs. */
enum { KQ_LARGEST_PAIR = 128 };
bool kq_is_wide_step(const uint8_t *weights);

/* Orders the steps of a block so that those come first, two by two, whose 16-bit sums can be added, and those last that are wide;
 * counts both. */
void kq_gemm_pair_steps(int32_t *place, uint8_t *weights, kq_block *block);

/* Instructions for a pixel and the steps of a block, in tenths of what they take as they are, and doubled. And the weights for
 * the latter. */
uint64_t kq_gemm_cost(const kq_block *block);
uint64_t kq_gemm_doubled_cost(const kq_block *block);
void kq_gemm_double_steps(uint8_t *weights, const kq_block *block);

/* Blocks with at least such a chunk are widened chunk by chunk. */
enum { KQ_MIN_CHUNK = 4 };

/* Steps of a chunk of wide sums, and chunks of a half at most. */
enum { KQ_WIDE_CHUNK = 255, KQ_WIDE_CHUNKS = 255 };

/* Scratch for the copy of the input, and room to read past the last value. */
size_t kq_gemm_scratch_bytes(const kq_operator *op);
size_t kq_gemm_doubled_scratch_bytes(const kq_operator *op); /* where it may be doubled */

/* The input as it is to be multiplied: the copy in the scratch memory, or where it is. */
const uint8_t *kq_gemm_input(const kq_operator *op, const kq_gemm *gemm, uint8_t *arena);

/* Where the windows of the pixels from number `first` on begin, `count` of them and copies of the last up to a multiple of
 * `tile`. */
void kq_gemm_places(const kq_gemm *gemm, uint32_t first, uint32_t count, uint32_t tile, const uint8_t *input,
                    const uint8_t **places);

/* Copies rows [first, end) of the input with its margins, where it is to be copied. */
void kq_gemm_stage(const kq_operator *op, const kq_gemm *gemm, uint8_t *arena, uint32_t first, uint32_t end);

/* Some output pixels of some blocks. */
typedef struct {
  uint32_t pixel, pixels; /* the first, and how many: at most KQ_CHUNK */
  uint32_t block, end;    /* the first, and the one behind the last */
} kq_gemm_chunk;
enum { KQ_CHUNK = 128 };

/* What a tier does with a chunk. */
typedef void (*kq_gemm_compute)(const kq_operator *op, const kq_gemm *gemm, const kq_gemm_chunk *chunk, const uint8_t *input,
                                uint8_t *output);

/* Chunk after chunk of all blocks. */
void kq_gemm_each_chunk(const kq_operator *op, uint8_t *arena, kq_gemm_compute compute);

/* The same in pieces (kq_split.h): the copy of the input, then chunks. */
enum { KQ_GEMM_STAGES = 2 };
uint32_t kq_gemm_pieces(const kq_operator *op, uint32_t stage, uint32_t wanted);
void kq_gemm_compute_piece(const kq_piece *piece, kq_gemm_compute compute);
#define KQ_GEMM_SPLIT(constant, of_kernel, cost_of_product, compute_piece) \
  const kq_split constant = {                                              \
      .kernel = &of_kernel,                                                \
      .cost = cost_of_product,                                             \
      .stages = KQ_GEMM_STAGES,                                            \
      .pieces = kq_gemm_pieces,                                            \
      .compute = compute_piece,                                            \
  };

/* Where the addend of the output's first value is. */
static inline const uint8_t *kq_gemm_addend(const kq_operator *op, const uint8_t *output) {
  return output - op->output->offset + op->input[KQ_ADDEND]->offset;
}

/* FINISH_ANY, and FINISH_FLOAT for a fixed output: the outputs of a pixel from its 16 sums, int32_t, int64_t (wide) or float. */
void kq_gemm_finish(const kq_operator *op, const kq_gemm *gemm, const kq_block *block, const void *sums, uint8_t *output,
                    uint32_t pixel);

/* Whether two activations have bytes of the arena in common. */
static inline bool kq_share_bytes(const kq_tensor *a, const kq_tensor *b) {
  return a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

#endif
