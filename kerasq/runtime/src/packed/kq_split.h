/* How the work of a kernel is divided among threads: stages, one after the other, of pieces that can be computed in any order and
 * at once. Their outputs are those of the kernel, to the bit. Operators that are in no list of splits are computed by one thread. */
#ifndef KQ_SPLIT_H
#define KQ_SPLIT_H

#include "../kq_internal.h"

/* A piece of an operator's work, and the memory for it. */
typedef struct {
  const kq_operator *op;
  uint8_t *arena;
  uint8_t *shared; /* of all pieces, 64-byte aligned */
  uint8_t *own;    /* of the thread that computes the piece, likewise */
  uint32_t stage, number, pieces;
} kq_piece;

typedef struct {
  const kq_kernel *kernel;
  uint32_t cost; /* of a multiply-accumulate, where that of a convolution is 1 */
  uint32_t stages;
  size_t (*shared_bytes)(const kq_operator *op), (*own_bytes)(const kq_operator *op); /* NULL: none */
  /* Pieces of a stage, about `wanted` of them where there may be so many; 0 where there is nothing to do. */
  uint32_t (*pieces)(const kq_operator *op, uint32_t stage, uint32_t wanted);
  void (*compute)(const kq_piece *piece);
} kq_split;

/* Bytes that are worth a piece where they are only copied. */
enum { KQ_COPIED_BYTES = 1 << 14 };

static inline uint32_t kq_least(uint64_t a, uint64_t b) { return (uint32_t)(a < b ? a : b); }

/* Where part `number` of `parts` of so many things begins; the parts are as equal as can be. */
static inline uint32_t kq_part_begin(uint32_t things, uint32_t number, uint32_t parts) {
  return (uint32_t)((uint64_t)things * number / parts);
}

#endif
