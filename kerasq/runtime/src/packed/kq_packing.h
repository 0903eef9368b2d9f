/* What kernels make of constants: who may share it, and how much of it there may be.
 *
 * It has two parts: what is made of the kernel alone, and what is made of all else that an operator says. Operators share a part
 * that would be the same for both: a part is owned by the first of them, and only owners take state. A file of a few bytes may
 * have 2^16 operators that use one large constant, each in another way. So a part is only made while all parts together take no
 * more than KQ_PACKED_BYTES_EACH times the constants of the operators so far, and KQ_PACKED_BYTES_FREE; an operator that comes
 * too late gets a kernel that packs nothing. An honest network never comes so far. */
#ifndef KQ_PACKING_H
#define KQ_PACKING_H

#include "../kq_internal.h"

enum { KQ_PACKED_BYTES_EACH = 16, KQ_PACKED_BYTES_FREE = 1 << 16 };

/* To whole cache lines. */
static inline size_t kq_aligned(size_t size) { return (size + 63) / 64 * 64; }

/* One part. */
typedef struct kq_part {
  size_t (*bytes)(const kq_operator *op); /* bytes that it takes, found without reading the kernel */
  /* Whether the part of an operator serves another one, which has the same kernel and is computed by the same kq_kernel. */
  bool (*serves)(const kq_operator *owner, const kq_operator *op);
  void (*pack)(const kq_operator *op, const void *constants, void *memory); /* `constants`: for the second part, the first */
} kq_part;

/* How the second part begins: op->packed points to it. */
typedef struct {
  const void *constants;
} kq_packed;

/* The functions of every kq_packing. */
bool kq_reserve(kq_network *network, kq_operator *op, kq_budget *budget);
size_t kq_fill(kq_operator *op, uint8_t *memory);

#endif
