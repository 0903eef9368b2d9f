/* Rows of a depthwise convolution, four channels at a time: the inner loops of kq_depthwise_3x3_dsp.c and kq_depthwise_dsp.c.
 *
 * 3x3: a column of four channels is three words of input. As halfwords they become six words: rows 0 and 1 of channels 1, 2, 3 and 0, a
 * word each, then row 2 of channels 0 and 2, and of 1 and 3. Weights come in the same order, so that a column takes four SMLAD and
 * four SMLAxy, for four channels of one output.
 *
 * Any window: taps in pairs, two words of input, which become a word for each of channels 0 to 3, by four words of weights. */
#ifndef KQ_ARM_ROWS_H
#define KQ_ARM_ROWS_H

#include "kq_arm_depthwise.h"

enum { KQ_ARM_COLUMN_WORDS = 6, KQ_ARM_COLUMNS = 3 };

/* What four channels need: weights, and how sums are finished, in channel order. */
typedef struct {
  uint32_t weights[KQ_ARM_COLUMNS * KQ_ARM_COLUMN_WORDS];
  kq_arm_channel channels[KQ_ARM_QUAD];
} kq_arm_group;

/* A row of outputs; the assembly knows the places of the first fields. */
typedef struct kq_arm_row {
  const void *input;         /* of the next output: its columns, or what the offsets of its taps begin at */
  const uint32_t *weights;   /* followed by four kq_arm_channel */
  uint8_t *y;                /* four channels of an output */
  size_t next_pixel;
  uint32_t left;             /* outputs */
  int32_t next_input;        /* bytes to that of the next output; for 3x3, from the end of an output's columns */
  void (*finish)(struct kq_arm_row *);
  int32_t sums[KQ_ARM_QUAD];
  void (*next)(void);                  /* where a finish goes on: set by the loops */
  const uint32_t *offsets, *offsets_end; /* any window: of the taps, two for each pair */
  const kq_arm_channel *channels; /* those behind the weights */
} kq_arm_row;

void kq_arm_depthwise_row(kq_arm_row *row); /* 3x3 */
void kq_arm_pairs_row_s8(kq_arm_row *row);  /* any window; by type of input */
void kq_arm_pairs_row_u8(kq_arm_row *row);

void kq_arm_choose_row_finish(kq_arm_row *row);

/* Where a row of columns is read: three words for each, at `offsets` from `input`, of which the upper and the lower are zeros where
 * their masks are. */
typedef struct {
  const uint8_t *input;
  uint32_t offsets[KQ_ARM_COLUMNS];
  uint32_t upper, lower;
  size_t next; /* bytes from a column to the next */
} kq_arm_source;

typedef void (*kq_arm_pack)(uint32_t *columns, const kq_arm_source *source, uint32_t count);
void kq_arm_pack_s8(uint32_t *columns, const kq_arm_source *source, uint32_t count);
void kq_arm_pack_u8(uint32_t *columns, const kq_arm_source *source, uint32_t count);

/* ORs `upper` into the words of rows 0 and 1, row 0 in the low half, and `lower` into those of row 2, of one column or more. */
void kq_arm_fill_columns(uint32_t *columns, const uint32_t *end, uint32_t upper, uint32_t lower);

#endif
