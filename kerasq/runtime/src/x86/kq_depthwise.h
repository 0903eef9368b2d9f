/* Depthwise convolution of 8-bit inputs on x86-64: taps interleaved by fours.
 *
 * vpdpbusd (AVX-512 VNNI), and vpmaddubsw with vpmaddwd (AVX2), add four products of bytes to a sum of 32 bits. So a step of this
 * kernel is four taps of 16 channels: 64 bytes in which the four inputs of a channel lie side by side. They are interleaved in
 * the scratch memory, for a few rows of the output at a time, in *planes*, where every column of the input has a place:
 *
 *     a window of several rows   plane j has rows 4 j to 4 j + 3 of the window; a step is one column of it
 *     a window of one row        the plane has four columns, from each place on; a step is every fourth column of the window
 *
 *     a window of one value      no plane: the inputs are read where they are; a step's other slots are empty
 *
 * so that what is interleaved once serves all the steps and output pixels that it has a part in. Rows outside of the input
 * hold the operator's zero, and planes have margins of it. A network over time, one column wide, is seen as one row, which its
 * memory is, too.
 *
 * Planes are read as if their channels were a multiple of 16. Where they aren't, and columns follow each other (stride 1), several
 * pixels are taken as one with as many channels as they have together: 48 for 12. Else the last block has lanes too many, whose
 * outputs are written first and then overwritten by those of the next pixel.
 *
 * vpmaddubsw adds two products in 16 bits: weights of one sign must be at most 128 together, see kq_gemm.h. Three taps take a
 * plane's fourth place as well: the middle one is there twice, its weight divided so that both pairs fit. Steps that still do not
 * fit come last in a block, and are multiplied as 16-bit values. */
#ifndef KQ_DEPTHWISE_H
#define KQ_DEPTHWISE_H

#include "../packed/kq_gemm.h"

/* What is made of a kernel alone; the weights follow it: KQ_STEP_BYTES for each step of each block. */
typedef struct {
  kq_steps real; /* channels as they are, sums of weights: for the finish */
  const uint8_t *weights;
  const uint16_t *narrow;  /* of each block: steps that vpmaddubsw can add */
  const uint16_t *step;    /* of each block and step: its number in the order of the window */
} kq_depthwise_steps;

/* What is made of all that an operator says. */
typedef struct {
  kq_gemm gemm; /* its finish, by lanes of blocks */
  uint32_t blocks, steps;
  uint32_t planes;
  uint32_t pixels;        /* of an output row, as blocks see them */
  uint32_t pixel_outputs; /* bytes from one's outputs to the next one's */
  uint32_t pixel_bytes;   /* and in a plane */
  uint32_t row_outputs;   /* bytes of an output row */
  uint32_t rows;          /* of a batch, which is interleaved and then computed */
  bool pointwise;         /* there are no planes */
  bool direct;            /* outputs go to their place at once, not by way of the scratch memory */
  const uint8_t *weights;
  const uint16_t *narrow;
  const int32_t *place; /* of each block and step: in the planes */
} kq_depthwise;

bool kq_depthwise_bytes_accepts(const kq_operator *op);
size_t kq_depthwise_scratch_bytes(const kq_operator *op);
extern const kq_packing kq_depthwise_packing;

/* Some pixels: where they begin in the planes, or from the batch's first input on, and their outputs; the last one again up to a multiple of KQ_DEPTHWISE_TILE. */
enum { KQ_DEPTHWISE_TILE = 4, KQ_DEPTHWISE_PIXELS = 128 };
typedef struct {
  const uint8_t *planes;
  uint8_t *outputs;
  uint32_t count;
  int32_t input[KQ_DEPTHWISE_PIXELS], output[KQ_DEPTHWISE_PIXELS];
} kq_depthwise_batch;

/* What an instruction set does for it. */
typedef struct {
  /* to[4 i + k] = source[k][i] ^ flip, for i < count and up to 63 more. */
  void (*interleave)(const uint8_t *const source[4], uint8_t flip, uint8_t *to, size_t count);
  /* Outputs of a batch and a block. */
  void (*compute)(const kq_operator *op, const kq_depthwise *plan, const kq_depthwise_batch *batch, uint32_t block);
} kq_depthwise_tier;

/* What the bits of an input are changed by where it is multiplied: then a plane's 0 stands for the lowest value. */
static inline uint8_t kq_depthwise_flip(const kq_operator *op) { return op->input[KQ_X]->type == KQ_FIXED8 ? 0x80 : 0; }

void kq_depthwise_run(const kq_operator *op, uint8_t *arena, const kq_depthwise_tier *tier);

/* The same in pieces (kq_split.h); the scratch memory is each thread's own. */
enum { KQ_DEPTHWISE_STAGES = 2 };
size_t kq_depthwise_shared_bytes(const kq_operator *op);
uint32_t kq_depthwise_pieces(const kq_operator *op, uint32_t stage, uint32_t wanted);
#define KQ_DEPTHWISE_SPLIT(constant, of_kernel, compute_piece) \
  const kq_split constant = {                                  \
      .kernel = &of_kernel,                                    \
      .cost = 8,                                               \
      .stages = KQ_DEPTHWISE_STAGES,                           \
      .shared_bytes = kq_depthwise_shared_bytes,               \
      .own_bytes = kq_depthwise_scratch_bytes,                 \
      .pieces = kq_depthwise_pieces,                           \
      .compute = compute_piece,                                \
  };
void kq_depthwise_compute_piece(const kq_piece *piece, const kq_depthwise_tier *tier);

/* Outputs of one pixel and block from its 16 sums, where the finish is not simple (kq_gemm.h). */
void kq_depthwise_finish(const kq_operator *op, uint32_t block, const int32_t sums[KQ_LANES], uint8_t *to);

/* ---- Between kq_depthwise_plan.c and kq_depthwise_run.c ---- */

/* The operator as it is computed: what has one column has one row instead. */
typedef struct {
  uint32_t rows, columns, channels; /* of the input */
  uint32_t out_rows, out_columns;
  uint32_t taps[2], stride[2], dilation[2]; /* vertical, horizontal */
  uint32_t top, left;
  uint32_t staged_columns; /* of a plane */
  bool horizontal;         /* the window has one row */
} kq_depthwise_shape;
kq_depthwise_shape kq_depthwise_shape_of(const kq_operator *op);

/* Which of a plane's `taps` taps, at most 4, is in a slot. */
static inline uint32_t kq_slot_tap(uint32_t taps, uint32_t slot) {
  static const uint8_t tap[4][4] = {{0, 0, 0, 0}, {0, 0, 1, 1}, {0, 1, 2, 1}, {0, 1, 2, 3}};
  return tap[taps - 1][slot];
}

/* Taps of plane `plane`. */
static inline uint32_t kq_plane_taps(const kq_depthwise_shape *s, uint32_t plane) {
  const uint32_t all = s->taps[s->horizontal ? 1 : 0], left = all - 4 * plane;
  return left < 4 ? left : 4;
}

/* The scratch memory: planes, those of a row of outputs together, then a row of the zero or the input's row with margins, then
 * rows of outputs. */
enum { KQ_DEPTHWISE_SLACK = 512 };
static inline size_t kq_plane_bytes(const kq_depthwise_shape *s) {
  return kq_aligned(4 * ((size_t)s->staged_columns * s->channels + KQ_DEPTHWISE_SLACK));
}
static inline size_t kq_spare_row_bytes(const kq_depthwise_shape *s) {
  const size_t columns = s->staged_columns > s->columns ? s->staged_columns : s->columns;
  return kq_aligned((columns + 4 * s->dilation[1]) * s->channels + KQ_DEPTHWISE_SLACK);
}

#endif
