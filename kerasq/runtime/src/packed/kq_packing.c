/* Which operators share what kernels make of constants: see kq_packing.h.
 *
 * Between the verification of a network and its use, some fields of it are free, and serve as memory here:
 *
 *     of a constant   last    its bytes that the budget does not count yet, and that no other constant has
 *                     first   number of the latest owner of a part that was made of it; -1
 *     of an operator  scratch SHARES for one that owns nothing; of an owner, the number of the owner before it, plus 1; 0
 *                     packed  the operator whose parts it shares; of an owner, the operator that owns its first part */
#include "kq_packing.h"

#include "../kq_verify.h"

enum { KERNEL = KQ_CONV_2D_KERNEL, LOOKS = 64 }; /* LOOKS: owners that are looked at, from the latest on: bounds the time */

#define SHARES SIZE_MAX

static bool begins_before(const kq_tensor *a, const kq_tensor *b) { return a->data < b->data; }

/* Constants of a file may lie over each other: each byte is counted for one of them. */
static void begin(kq_network *network, kq_budget *budget) {
  kq_tensor *tensors = network->tensors;
  const uint8_t *end = network->model;
  uint32_t constants = 0;
  for (uint32_t i = 0; i < network->tensor_count; ++i) {
    if (tensors[i].data != NULL) tensors[constants++].first = (int32_t)i;
  }
  kq_sort(tensors, constants, begins_before);
  for (uint32_t i = 0; i < constants; ++i) {
    kq_tensor *tensor = &tensors[tensors[i].first];
    const uint8_t *from = tensor->data < end ? end : tensor->data, *to = tensor->data + tensor->bytes;
    tensor->last = from < to ? (int32_t)(to - from) : 0;
    if (to > end) end = to;
  }
  for (uint32_t i = 0; i < network->tensor_count; ++i) tensors[i].first = -1;
  budget->limit = KQ_PACKED_BYTES_FREE;
}

/* Raises the limit by the operator's constants. */
static void count_constants(kq_network *network, const kq_operator *op, kq_budget *budget) {
  for (uint32_t i = 0; i < op->inputs; ++i) {
    if (op->input[i] == NULL || op->input[i]->data == NULL) continue;
    kq_tensor *tensor = &network->tensors[op->input[i] - network->tensors];
    budget->limit += (size_t)KQ_PACKED_BYTES_EACH * (uint32_t)tensor->last;
    tensor->last = 0;
  }
}

/* The operators whose parts serve this one; NULL where there is none. */
typedef struct {
  kq_operator *constants, *finish;
} owners;

static owners find(const kq_network *network, const kq_operator *op) {
  const kq_packing *packing = op->kernel->packing;
  owners sharing = {.constants = NULL, .finish = NULL};
  int32_t next = op->input[KERNEL]->first;
  for (int looks = 0; looks < LOOKS && next >= 0 && sharing.finish == NULL; ++looks) {
    kq_operator *owner = &network->operators[next];
    next = (int32_t)owner->scratch - 1;
    if (owner->kernel != op->kernel || !packing->constants->serves(owner, op)) continue;
    if (sharing.constants == NULL) sharing.constants = (kq_operator *)(uintptr_t)owner->packed;
    if (packing->finish->serves(owner, op)) sharing.finish = owner;
  }
  return sharing;
}

bool kq_reserve(kq_network *network, kq_operator *op, kq_budget *budget) {
  const kq_packing *packing = op->kernel->packing;
  if (budget->limit == 0) begin(network, budget);
  count_constants(network, op, budget);
  const owners sharing = find(network, op);
  if (sharing.finish != NULL) {
    op->packed = sharing.finish;
    op->scratch = SHARES;
    return true;
  }
  size_t needed = kq_aligned(packing->finish->bytes(op));
  if (sharing.constants == NULL) needed += kq_aligned(packing->constants->bytes(op));
  if (needed > budget->limit - budget->used) return false;
  kq_tensor *kernel = &network->tensors[op->input[KERNEL] - network->tensors];
  budget->used += needed;
  op->packed = sharing.constants == NULL ? op : sharing.constants;
  op->scratch = (size_t)(kernel->first + 1);
  kernel->first = (int32_t)(op - network->operators);
  return true;
}

/* Operators are filled in order: an owner before those that share its parts. */
size_t kq_fill(kq_operator *op, uint8_t *memory) {
  const kq_packing *packing = op->kernel->packing;
  const kq_operator *owner = op->packed;
  uint8_t *next = memory;
  if (op->scratch == SHARES) {
    op->packed = owner->packed;
    return 0;
  }
  const void *constants = next;
  if (owner == op) {
    packing->constants->pack(op, NULL, next);
    next += kq_aligned(packing->constants->bytes(op));
  } else {
    constants = ((const kq_packed *)owner->packed)->constants;
  }
  packing->finish->pack(op, constants, next);
  op->packed = next;
  return (size_t)(next - memory) + kq_aligned(packing->finish->bytes(op));
}
