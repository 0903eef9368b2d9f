#define _POSIX_C_SOURCE 200112L /* posix_memalign */

#include "try_model.h"

#include <inttypes.h>
#include <stdlib.h>

#include "../src/kq_internal.h"
#include "kerasq_native.h"

/* A damaged file may honestly describe a much larger network than its seed: running that proves nothing and takes long. */
#define MAX_WORK ((uint64_t)1 << 20)
#define MAX_ARENA ((size_t)1 << 24)
#define MAX_STATE ((size_t)1 << 26)
#define TEAM 3 /* threads that compute a network together */

static void *allocate(size_t size, size_t alignment) {
  void *memory;
  if (posix_memalign(&memory, alignment < sizeof(void *) ? sizeof(void *) : alignment, size) != 0) {
    fprintf(stderr, "out of memory: %lu bytes\n", (unsigned long)size);
    exit(2);
  }
  return memory;
}

/* Multiply-accumulates, window taps and values, as in kerasq/conformance/fuzz.py. */
static uint64_t work(const kq_network *network) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < network->input_count; ++i) total += network->tensors[kq_input(network, i)].elements;
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    const kq_operator *op = &network->operators[i];
    const uint64_t taps = (uint64_t)op->window[0] * op->window[1];
    total += kq_macs(op) + (taps > 0 ? taps : 1) * op->output->elements;
  }
  return total;
}

/* Bytes that look random, the same for everyone: word i is a hash of i. For FLOAT32 that includes NaN and infinities. */
static void set_inputs(const kq_network *network, uint8_t *arena) {
  uint32_t word = 0;
  for (uint32_t i = 0; i < network->input_count; ++i) {
    const kq_tensor *input = &network->tensors[kq_input(network, i)];
    for (uint32_t byte = 0; byte < input->bytes; byte += 4) {
      uint32_t hash = ++word * 0x9E3779B1u;
      hash = (hash ^ hash >> 15) * 0x85EBCA77u;
      hash ^= hash >> 13;
      memcpy(arena + input->offset + byte, &hash, input->bytes - byte < 4 ? input->bytes - byte : 4);
    }
  }
}

/* Reads all that is told of a network: the sanitizers watch, and the sum keeps the reads from being left out. */
static size_t describe(const kq_network *network) {
  size_t total = 0;
  for (uint32_t i = 0; i < kq_tensors(network); ++i) total += strlen(kq_describe_tensor(network, i).name);
  for (uint32_t i = 0; i < kq_operators(network); ++i) total += strlen(kq_describe_operator(network, i).kernel);
  return total;
}

/* ---- One tier ---- */

/* Tier number 0, 1, ..., and after the last of them the kernels for Cortex-M; NULL from there on. */
static const char *tier_name(uint32_t index) {
  if (kq_native_tier(index) != NULL) return kq_native_tier(index);
  return index > 0 && kq_native_tier(index - 1) != NULL ? "dsp" : NULL;
}

#define MAX_TIERS 4
#define MAX_KERNELS 256

static uint64_t times[MAX_TIERS][MAX_KERNELS]; /* how often each kernel of each tier ran */

static void count(uint32_t tier, const kq_kernels *kernels, const kq_kernel *kernel) {
  for (uint32_t k = 0; k < kernels->count && k < MAX_KERNELS; ++k) {
    if (kernels->list[k] == kernel) ++times[tier][k];
  }
}

/* By tensor, whether it is an output of the network; the caller frees it. */
static bool *find_network_outputs(const kq_network *network) {
  bool *is_output = allocate(network->tensor_count, 1);
  memset(is_output, 0, network->tensor_count);
  for (uint32_t i = 0; i < network->output_count; ++i) is_output[kq_output(network, i)] = true;
  return is_output;
}

/* The first operator whose output is a network's output that a later operator has written over; the number of operators if none. */
static uint32_t overwritten(const kq_network *network, const uint8_t *arena, const uint32_t *checksums) {
  bool *is_output = find_network_outputs(network);
  uint32_t i = 0;
  for (; i < network->operator_count; ++i) {
    const kq_tensor *output = network->operators[i].output;
    if (is_output[output - network->tensors] && kq_crc32(0, arena + output->offset, output->bytes) != checksums[i]) break;
  }
  free(is_output);
  return i;
}

/* A run by a team that divides every operator that can be divided, beside what `arena` has of the network's outputs: the operator of
 * the first that differs; the number of operators if none does. */
static uint32_t divided(const kq_network *network, const uint8_t *arena) {
  static kq_team *team = NULL;
  if (team == NULL) team = kq_native_team(TEAM, 1);
  const void **inputs = allocate((network->input_count + 1) * sizeof *inputs, sizeof(void *));
  void **outputs = allocate((network->output_count + 1) * sizeof *outputs, sizeof(void *));
  uint8_t *own = allocate(kq_native_arena_bytes(network, TEAM), 64), *start = allocate(network->arena_bytes + 1, 64);
  set_inputs(network, start);
  for (uint32_t i = 0; i < network->input_count; ++i) inputs[i] = kq_tensor_data(network, kq_input(network, i), start);
  for (uint32_t i = 0; i < network->output_count; ++i) {
    outputs[i] = allocate(network->tensors[kq_output(network, i)].bytes, 64);
  }
  kq_native_run(network, team, own, inputs, outputs, 1);
  uint32_t different = network->operator_count;
  for (uint32_t i = 0; i < network->output_count; ++i) {
    const kq_tensor *output = &network->tensors[kq_output(network, i)];
    for (uint32_t k = 0; k < different && memcmp(outputs[i], arena + output->offset, output->bytes) != 0; ++k) {
      if (network->operators[k].output == output) different = k;
    }
    free(outputs[i]);
  }
  free(start);
  free(own);
  free(outputs);
  free(inputs);
  return different;
}

/* The operator of an output of the network that `overwritten` or `divided` finds wrong; the number of operators if none is. What else is damaged shows in the operators that read it. */
static uint32_t run(const kq_network *network, uint32_t tier, const kq_kernels *kernels, uint32_t *checksums) {
  uint8_t *arena = allocate(kq_arena_bytes(network), kq_arena_alignment(network));
  set_inputs(network, arena);
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    const kq_tensor *output = network->operators[i].output;
    kq_invoke_operator(network, i, arena);
    count(tier, kernels, network->operators[i].kernel);
    checksums[i] = kq_crc32(0, arena + output->offset, output->bytes);
  }
  uint32_t damaged = overwritten(network, arena, checksums);
  if (damaged == network->operator_count) damaged = divided(network, arena);
  kq_selftest(network, arena, NULL);
  free(arena);
  return damaged;
}

/* A model that lies at an address aligned as kq_prepare asks, prepared in state that the caller frees; NULL if it is refused, or
 * would take more state than is worth trying. */
static const kq_network *prepare(const uint8_t *model, size_t size, const kq_kernels *kernels, uint8_t **state, kq_error *error) {
  size_t state_bytes = 0;
  const kq_network *network;
  kq_status status = kq_prepare(model, size, kernels, NULL, &state_bytes, &network, error);
  while (status == KQ_STATE_TOO_SMALL && state_bytes <= MAX_STATE) {
    free(*state);
    *state = allocate(state_bytes, 8);
    status = kq_prepare(model, size, kernels, *state, &state_bytes, &network, error);
  }
  return status == KQ_OK ? network : NULL;
}

static bool is_too_large(const kq_network *network, const kq_error *error) {
  if (network == NULL) return error->status == KQ_STATE_TOO_SMALL;
  return describe(network) == 0 || work(network) > MAX_WORK || kq_arena_bytes(network) > MAX_ARENA;
}

/* Whether every engine computes an operator's output to the bit, for each operator: kerasq/selftest.py, exact_tensors. */
static bool *find_exact(const kq_network *network) {
  bool *exact = allocate(network->operator_count + 1, 1);
  bool *inexact = allocate(network->tensor_count, 1); /* by tensor */
  memset(inexact, 0, network->tensor_count);
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    const kq_operator *op = &network->operators[i];
    bool rounds = (KQ_INEXACT_IN_FLOAT >> op->kind & 1) != 0 && !op->is_integer;
    for (uint32_t k = 0; k < op->inputs; ++k) rounds = rounds || (op->input[k] != NULL && inexact[op->input[k] - network->tensors]);
    inexact[op->output - network->tensors] = rounds;
    exact[i] = !rounds && op->output->type != KQ_FLOAT32;
  }
  free(inexact);
  return exact;
}

/* What becomes of a file in one tier; never TRIED_REFUSED without a reason in `error`. `checksums` and `exact`, unless it is NULL,
 * take memory that the caller frees, if the file ran. */
static kq_tried try_tier(const uint8_t *model, size_t size, uint32_t tier, kq_error *error, uint32_t **checksums,
                         bool **exact, uint32_t *operators) {
  const kq_kernels *kernels = kq_native_kernels(tier_name(tier), NULL);
  uint8_t *state = NULL;
  const kq_network *network = prepare(model, size, kernels, &state, error);
  kq_tried tried = is_too_large(network, error) ? TRIED_TOO_LARGE : network == NULL ? TRIED_REFUSED : TRIED_RAN;
  if (tried == TRIED_RAN) {
    *operators = network->operator_count;
    *checksums = allocate((network->operator_count + 1) * sizeof **checksums, sizeof(void *));
    error->operator_index = (int32_t)run(network, tier, kernels, *checksums);
    if (error->operator_index < (int32_t)*operators) tried = TRIED_DIFFERS;
    if (exact != NULL) *exact = find_exact(network);
  }
  free(state);
  return tried;
}

/* ---- All tiers ---- */

/* Whether a tier makes the same of a file as the portable kernels did. */
static bool agrees(const uint8_t *model, size_t size, uint32_t tier, const uint32_t *expected, const bool *exact, kq_error *error) {
  uint32_t *checksums = NULL, operators = 0;
  const kq_tried tried = try_tier(model, size, tier, error, &checksums, NULL, &operators);
  bool same = tried == TRIED_RAN || tried == TRIED_TOO_LARGE; /* a tier may need more memory than is worth trying */
  for (uint32_t i = 0; tried == TRIED_RAN && same && i < operators; ++i) {
    same = !exact[i] || checksums[i] == expected[i];
    error->operator_index = (int32_t)i;
  }
  free(checksums);
  return same;
}

kq_tried kq_try_model(const uint8_t *bytes, size_t size, kq_error *error, uint32_t **checksums, uint32_t *operators,
                      const char **tier) {
  uint8_t *model = allocate(size, 4);
  uint32_t *computed = NULL, counted = 0;
  bool *exact = NULL;
  memcpy(model, bytes, size);
  kq_tried tried = try_tier(model, size, 0, error, &computed, &exact, &counted);
  if (tier != NULL) *tier = tier_name(0);
  for (uint32_t i = 1; tried == TRIED_RAN && tier_name(i) != NULL; ++i) {
    if (agrees(model, size, i, computed, exact, error)) continue;
    tried = TRIED_DIFFERS;
    if (tier != NULL) *tier = tier_name(i);
  }
  if (tried == TRIED_RAN && checksums != NULL) {
    *checksums = computed;
    *operators = counted;
    computed = NULL;
  }
  free(computed);
  free(exact);
  free(model);
  return tried;
}

void kq_print_kernels(FILE *stream) {
  for (uint32_t tier = 0; tier < MAX_TIERS && tier_name(tier) != NULL; ++tier) {
    const kq_kernels *kernels = kq_native_kernels(tier_name(tier), NULL);
    for (uint32_t k = 0; k < kernels->count && k < MAX_KERNELS; ++k) {
      fprintf(stream, "kernel %s %s %" PRIu64 "\n", tier_name(tier), kernels->list[k]->name, times[tier][k]);
    }
  }
}
