/* From bytes to a network that runs: memory for what is resolved, a kernel for each operator, and the calls of kerasq.h. */
#include "kq_arithmetic.h"

/* The public constants that callers size their state by. */
typedef char network_fits[sizeof(kq_network) <= KQ_NETWORK_BYTES ? 1 : -1];
typedef char tensor_fits[sizeof(kq_tensor) <= KQ_TENSOR_BYTES ? 1 : -1];
typedef char operator_fits[sizeof(kq_operator) <= KQ_OPERATOR_BYTES ? 1 : -1];

static size_t round_up(size_t size, size_t alignment) { return (size + alignment - 1) / alignment * alignment; }

static size_t behind_plan(const kq_network *network) { return round_up(network->planned_bytes, KQ_CACHE_LINE); }

static bool is_aligned(const void *pointer, size_t alignment) { return (uintptr_t)pointer % alignment == 0; }

static bool suits(const kq_kernel *kernel, const kq_operator *op) {
  const kq_tensor *weights = op->input[1];
  return kernel->kind == op->kind && (kernel->input_type == KQ_ANY || kernel->input_type == (int)op->input[0]->type) &&
         (kernel->weight_type == KQ_ANY || (weights != NULL && kernel->weight_type == (int)weights->type)) &&
         (weights == NULL || kernel->weight_layout == KQ_ANY_LAYOUT || kernel->weight_layout == weights->layout) &&
         (kernel->accumulator_bits == KQ_ANY_BITS || kernel->accumulator_bits == op->accumulator_bits) &&
         (kernel->accepts == NULL || kernel->accepts(op));
}

/* The first kernel of the list that computes an operator, and has the state to do it in. */
static const kq_kernel *choose(kq_network *network, kq_operator *op, const kq_kernels *kernels, kq_budget *budget) {
  for (uint32_t k = 0; k < kernels->count; ++k) {
    const kq_kernel *kernel = kernels->list[k];
    if (!suits(kernel, op)) continue;
    op->kernel = kernel;
    if (!KQ_PACKS(kernel) || kernel->packing->reserve(network, op, budget)) return kernel;
  }
  return NULL;
}

/* Gives every operator a kernel, and its scratch memory a place: where the file plans enough of it, else behind what is in use
 * meanwhile, or, where the kernel packs, behind all. `packed_bytes` becomes the state that all of them need. */
static kq_status choose_kernels(kq_network *network, const kq_kernels *kernels, size_t *packed_bytes, kq_error *error) {
  kq_budget budget = {.limit = 0, .used = 0};
  network->arena_bytes = network->planned_bytes;
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    kq_operator *op = &network->operators[i];
    op->kernel = choose(network, op, kernels, &budget);
    if (op->kernel == NULL) return kq_fail(error, KQ_NO_KERNEL, (int32_t)i, (int32_t)(op->output - network->tensors));
    const size_t needed = op->kernel->scratch_bytes == NULL ? 0 : op->kernel->scratch_bytes(op);
    const bool packs = KQ_PACKS(op->kernel);
    const size_t scratch = packs ? behind_plan(network) : kq_scratch_place(network, op, needed);
    if (!packs) op->scratch = scratch;
    if (needed != 0 && scratch + needed > network->arena_bytes) network->arena_bytes = scratch + needed;
  }
  *packed_bytes = budget.used;
  return KQ_OK;
}

static void pack(kq_network *network, uint8_t *memory) {
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    kq_operator *op = &network->operators[i];
    if (KQ_PACKS(op->kernel)) memory += op->kernel->packing->fill(op, memory);
  }
}

/* Where the parts of the state lie, from its beginning. */
typedef struct {
  size_t tensors, operators, packed, end;
} layout;

static layout lay_out(const kq_network *network) {
  layout place;
  place.tensors = round_up(sizeof(kq_network), 8);
  place.operators = place.tensors + round_up(network->tensor_count * sizeof(kq_tensor), 8);
  place.packed = place.operators + round_up(network->operator_count * sizeof(kq_operator), 8);
  place.end = place.packed;
  return place;
}

static kq_status prepare(const uint8_t *bytes, size_t size, const kq_kernels *kernels, uint8_t *state, size_t *state_bytes,
                         kq_error *error) {
  kq_network counted, *network = (kq_network *)(void *)state;
  kq_tables tables;
  if (!is_aligned(bytes, 4) || !is_aligned(state, 8)) return kq_fail(error, KQ_MISALIGNED, -1, -1);
  memset(&counted, 0, sizeof counted);
  kq_status status = kq_read_structure(bytes, size, &counted, &tables, error);
  if (status != KQ_OK) return status;
  layout place = lay_out(&counted);
  const size_t state_size = state == NULL ? 0 : *state_bytes;
  *state_bytes = place.end;
  if (state_size < place.end) return kq_fail(error, KQ_STATE_TOO_SMALL, -1, -1);
  memset(state, 0, place.packed);
  *network = counted;
  network->tensors = (kq_tensor *)(void *)(state + place.tensors);
  network->operators = (kq_operator *)(void *)(state + place.operators);
  status = kq_load(network, &tables, error);
  if (status == KQ_OK) status = kq_verify(network, error);
  size_t packed_bytes = 0;
  if (status == KQ_OK) status = choose_kernels(network, kernels, &packed_bytes, error);
  if (status == KQ_OK && packed_bytes != 0) {
    *state_bytes = place.packed + KQ_CACHE_LINE + packed_bytes;
    if (state_size < *state_bytes) return kq_fail(error, KQ_STATE_TOO_SMALL, -1, -1);
    uint8_t *memory = state + place.packed;
    pack(network, memory + (KQ_CACHE_LINE - (uintptr_t)memory % KQ_CACHE_LINE) % KQ_CACHE_LINE);
  }
  for (uint32_t i = 0; status == KQ_OK && i < network->operator_count; ++i) {
    kq_operator *op = &network->operators[i];
    if (KQ_PACKS(op->kernel)) op->scratch = behind_plan(network); /* only now: until then it is reserve's and fill's */
  }
  return status;
}

kq_status kq_prepare(const void *model, size_t model_bytes, const kq_kernels *kernels, void *state, size_t *state_bytes,
                     const kq_network **network, kq_error *error) {
  kq_error unread;
  if (error == NULL) error = &unread;
  kq_fail(error, KQ_OK, -1, -1);
  const kq_status status = prepare(model, model_bytes, kernels, state, state_bytes, error);
  *network = status == KQ_OK ? (const kq_network *)state : NULL;
  return status;
}

size_t kq_arena_bytes(const kq_network *network) { return network->arena_bytes; }

static bool packs_and_computes_behind(const kq_operator *op) {
  return KQ_PACKS(op->kernel) && op->kernel->scratch_bytes != NULL && op->kernel->scratch_bytes(op) != 0;
}

/* Kernels that pack load whole vectors from their scratch memory; all others are content with the alignment of tensors. */
size_t kq_arena_alignment(const kq_network *network) {
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    if (network->arena_alignment < KQ_CACHE_LINE && packs_and_computes_behind(&network->operators[i])) return KQ_CACHE_LINE;
  }
  return network->arena_alignment;
}

void kq_invoke_operator(const kq_network *network, uint32_t index, void *arena) {
  const kq_operator *op = &network->operators[index];
  op->kernel->run(op, arena);
}

void kq_invoke(const kq_network *network, void *arena) {
  for (uint32_t i = 0; i < network->operator_count; ++i) kq_invoke_operator(network, i, arena);
}

void kq_set_inputs(const kq_network *network, uint8_t *arena, const void *const *inputs, size_t example) {
  for (uint32_t i = 0; i < network->input_count; ++i) {
    const kq_tensor *tensor = &network->tensors[kq_input(network, i)];
    memcpy(arena + tensor->offset, (const uint8_t *)inputs[i] + example * tensor->bytes, tensor->bytes);
  }
}

void kq_get_outputs(const kq_network *network, const uint8_t *arena, void *const *outputs, size_t example) {
  for (uint32_t i = 0; i < network->output_count; ++i) {
    const kq_tensor *tensor = &network->tensors[kq_output(network, i)];
    memcpy((uint8_t *)outputs[i] + example * tensor->bytes, arena + tensor->offset, tensor->bytes);
  }
}

void kq_run(const kq_network *network, void *arena, const void *const *inputs, void *const *outputs, size_t examples) {
  for (size_t example = 0; example < examples; ++example) {
    kq_set_inputs(network, arena, inputs, example);
    kq_invoke(network, arena);
    kq_get_outputs(network, arena, outputs, example);
  }
}

void kq_run_together(const kq_network *network, void *arenas, size_t step, uint32_t together, const void *const *inputs,
                     void *const *outputs, size_t examples) {
  uint8_t *first = arenas;
  for (size_t done = 0; done < examples; done += together) {
    const uint32_t count = examples - done < together ? (uint32_t)(examples - done) : together;
    for (uint32_t e = 0; e < count; ++e) kq_set_inputs(network, first + e * step, inputs, done + e);
    for (uint32_t i = 0; i < network->operator_count; ++i) {
      const kq_operator *op = &network->operators[i];
      if (op->kernel->run_several != NULL) {
        op->kernel->run_several(op, first, step, count);
        continue;
      }
      for (uint32_t e = 0; e < count; ++e) op->kernel->run(op, first + e * step);
    }
    for (uint32_t e = 0; e < count; ++e) kq_get_outputs(network, first + e * step, outputs, done + e);
  }
}
