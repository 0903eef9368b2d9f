/* Whether no two activations that are in use at the same time overlap in the arena, but for an operator's output over its inputs
 * where that is safe (kerasq/verification/plan.py).
 *
 * A sweep over the operators keeps the set of activations in use. They are disjoint, so a new one can only collide with its two
 * neighbours by offset. To find those in log n steps without memory of its own, all activations are sorted by offset once,
 * which gives each a rank, and a Fenwick tree counts the ranks in use: node r holds the count of the (r & -r) ranks that end
 * at r. The memory is borrowed from tensors and restored afterwards:
 *
 *     first of tensor r - 1      the tensor of rank r                    (1 <= r <= activations)
 *     elements of tensor r - 1   low 16 bits: node r of the tree
 *     elements of tensor i       high 16 bits: rank of tensor i, less 1
 *
 * 16 bits do: there are at most 2^16 tensors, and only once the last of them is in use could a node reach 2^16. Nothing is
 * looked up between that and the first one going out of use, which brings it back from 0 to 2^16 - 1. */
#include "kq_verify.h"

typedef struct {
  kq_tensor *tensors;
  uint32_t ranks;
  uint32_t in_use;
} plan;

static uint32_t lowest_bit(uint32_t r) { return r & (0u - r); }

static uint32_t rank_of(const kq_tensor *tensor) { return (tensor->elements >> 16) + 1; }

/* Adds a tensor to those in use, or (change of -1) removes it. */
static void count_in(plan *p, const kq_tensor *tensor, int change) {
  p->in_use += (uint32_t)change;
  for (uint32_t r = rank_of(tensor); r <= p->ranks; r += lowest_bit(r)) {
    uint32_t *node = &p->tensors[r - 1].elements;
    *node = (*node & 0xFFFF0000u) | ((*node + (uint32_t)change) & 0xFFFFu);
  }
}

/* How many tensors in use have at most this rank. */
static uint32_t count_up_to(const plan *p, uint32_t rank) {
  uint32_t count = 0;
  for (; rank > 0; rank -= lowest_bit(rank)) count += p->tensors[rank - 1].elements & 0xFFFFu;
  return count;
}

/* The tensor in use that `before` others in use precede. */
static const kq_tensor *in_use(const plan *p, uint32_t before) {
  uint32_t rank = 0;
  for (uint32_t step = 1u << 16; step > 0; step /= 2) {
    if (rank + step > p->ranks) continue;
    const uint32_t count = p->tensors[rank + step - 1].elements & 0xFFFFu;
    if (count > before) continue;
    rank += step;
    before -= count;
  }
  return &p->tensors[p->tensors[rank].first];
}

/* Puts a tensor to use; false where it overlaps another one. */
static bool place(plan *p, const kq_tensor *tensor) {
  const uint32_t before = count_up_to(p, rank_of(tensor));
  if (before > 0) {
    const kq_tensor *lower = in_use(p, before - 1);
    if (lower->offset + lower->bytes > tensor->offset) return false;
  }
  if (before < p->in_use && in_use(p, before)->offset < tensor->offset + tensor->bytes) return false;
  count_in(p, tensor, 1);
  return true;
}

/* Ends the use of the inputs that the operator is the last to read: of those that the output may overlap, or of the others. */
static void release(plan *p, const kq_operator *op, int32_t position, bool overlapping) {
  for (uint32_t i = 0; i < op->inputs; ++i) {
    const kq_tensor *tensor = op->input[i];
    bool again = false; /* read twice */
    for (uint32_t j = 0; j < i; ++j) again = again || op->input[j] == tensor;
    if (again || !kq_is_activation(tensor) || tensor->last != position) continue;
    if (kq_may_overlap(op, tensor) == overlapping) count_in(p, tensor, -1);
  }
}

static size_t end_of(const kq_tensor *tensor) { return (size_t)tensor->offset + tensor->bytes; }

/* Where the memory that is in use during an operator ends. Inputs that the output may overlap have been released. */
static size_t top(const plan *p, const kq_operator *op) {
  size_t end = end_of(in_use(p, p->in_use - 1));
  for (uint32_t i = 0; i < op->inputs; ++i) {
    if (kq_is_activation(op->input[i]) && end_of(op->input[i]) > end) end = end_of(op->input[i]);
  }
  return end;
}

/* Whether planned scratch memory overlaps nothing that is in use. Of that, the highest tensor that begins below its end ends highest,
 * too. */
static bool is_free(const plan *p, kq_scratch scratch) {
  uint32_t low = 0, high = scratch.bytes == 0 ? 0 : p->in_use;
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    if (in_use(p, middle)->offset < scratch.offset + scratch.bytes) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low == 0 || end_of(in_use(p, low - 1)) <= scratch.offset;
}

static bool sweep_operator(plan *p, kq_operator *op, int32_t position, kq_scratch scratch) {
  const bool is_apart = is_free(p, scratch); /* from all that is read */
  release(p, op, position, true);
  if (!is_apart || !place(p, op->output) || !is_free(p, scratch)) return false;
  op->scratch = top(p, op);
  release(p, op, position, false);
  if (op->output->last == position) count_in(p, op->output, -1);
  return true;
}

static kq_status sweep(plan *p, const kq_network *network, kq_error *error) {
  for (uint32_t i = 0; i < network->input_count; ++i) {
    const uint32_t index = kq_u32(network->inputs + 4 * (size_t)i);
    if (!place(p, &p->tensors[index])) return kq_fail(error, KQ_BAD_PLAN, -1, (int32_t)index);
  }
  for (uint32_t i = 0; i < network->input_count; ++i) {
    const kq_tensor *input = &p->tensors[kq_u32(network->inputs + 4 * (size_t)i)];
    if (input->last == -1) count_in(p, input, -1);
  }
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    kq_operator *op = &network->operators[i];
    if (!sweep_operator(p, op, (int32_t)i, kq_planned_scratch(network, i))) return kq_fail(error, KQ_BAD_PLAN, (int32_t)i, (int32_t)(op->output - p->tensors));
  }
  return KQ_OK;
}

static bool lies_lower(const kq_tensor *a, const kq_tensor *b) { return a->offset < b->offset; }

static void rank_by_offset(plan *p, uint32_t tensor_count) {
  for (uint32_t i = 0; i < tensor_count; ++i) {
    if (p->tensors[i].data == NULL) p->tensors[p->ranks++].first = (int32_t)i;
  }
  kq_sort(p->tensors, p->ranks, lies_lower);
  for (uint32_t r = 0; r < tensor_count; ++r) p->tensors[r].elements = 0;
  for (uint32_t r = 0; r < p->ranks; ++r) p->tensors[p->tensors[r].first].elements = r << 16;
}

static void restore(kq_network *network) {
  for (uint32_t i = 0; i < network->tensor_count; ++i) {
    kq_tensor *tensor = &network->tensors[i];
    tensor->first = -1; /* right for inputs */
    tensor->elements = tensor->shape[0] * tensor->shape[1] * tensor->shape[2] * tensor->shape[3];
  }
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    network->tensors[network->operators[i].output - network->tensors].first = (int32_t)i;
  }
}

kq_status kq_check_plan(kq_network *network, kq_error *error) {
  plan p = {.tensors = network->tensors};
  rank_by_offset(&p, network->tensor_count);
  const kq_status status = sweep(&p, network, error);
  restore(network);
  return status;
}
