/* Convolution by windows of 3x3 at stride 1 with fewer multiplications: F(2x2, 3x3) of Winograd (Lavin and Gray,
 * https://arxiv.org/abs/1509.09308), in integers. Two outputs next to each other, y0 = d0 g0 + d1 g1 + d2 g2 and
 * y1 = d1 g0 + d2 g1 + d3 g2, take four products instead of six:
 *
 *     m0 = (d0 - d2) 2 g0,  m1 = (d1 + d2) (g0 + g1 + g2),  m2 = (d2 - d1) (g0 - g1 + g2),  m3 = (d1 - d3) 2 g2
 *     2 y0 = m0 + m1 + m2,  2 y1 = m1 - m2 - m3
 *
 * With rows and columns alike, a *tile* of 2x2 outputs takes 16 products of a window of 4x4 inputs with the 16 *places* of a
 * kernel, where nine for each output are 36. All is exact: inputs as they are staged, 0 .. 255, become at most 1020, weights at
 * most 9 * 128, both 16-bit integers, and four times a sum of KQ_WINOGRAD_CHANNELS channels fits 32 bits,
 * 4 * 255 * 9 * 128 * 1024 < 2^31, so that it is right whatever overflowed on the way to it. d3 has no part in y0: where the
 * output has an odd number of rows or columns, what lies behind the input's margin does no harm.
 *
 * What 16-bit products cost AVX2 (kq_gemm.h: doubled) is thus more than made up for; vpdpbusd, with twice as many products of
 * bytes, would gain nothing. The state has the weights as bytes, ordered so that they are transformed as vectors; that is done in
 * scratch memory with every run, as transformed weights take 3.6 times the bytes. It pays from some tiles on. */
#ifndef KQ_WINOGRAD_H
#define KQ_WINOGRAD_H

#include "../packed/kq_gemm.h"

enum { KQ_WINOGRAD_CHANNELS = 1024, KQ_WINOGRAD_PLACES = 16, KQ_WINOGRAD_TAPS = 9, KQ_WINOGRAD_GROUP = 16 };

/* Whether it is computed like this, and is the faster for it. */
bool kq_winograd_accepts(const kq_operator *op);

/* Its packing. Weights of a block: for every two input channels and tap 32 bytes, two of each output channel. */
extern const kq_packing kq_winograd_packing;

/* The scratch memory, as bytes from its beginning, where the staged input lies. */
typedef struct {
  size_t weights; /* transformed: for each block, place and two input channels KQ_STEP_BYTES */
  size_t inputs;  /* transformed: for each place and tile of a group `row` bytes */
  size_t sums;    /* of a block: 16 for each place and tile of a group */
  size_t end;
  size_t row;     /* channels, as 16-bit integers, to whole vectors */
  uint32_t pairs; /* of input channels; half of the last may be missing */
  uint32_t tile_rows, tile_columns;
} kq_winograd;
kq_winograd kq_winograd_of(const kq_operator *op);

size_t kq_winograd_scratch_bytes(const kq_operator *op);

#endif
