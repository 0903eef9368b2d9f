#define _POSIX_C_SOURCE 200112L /* posix_memalign */

#include "try_model.h"

#include <stdio.h>
#include <stdlib.h>

#include "../src/kq_internal.h"

/* A damaged file may honestly describe a much larger network than its seed: running that proves nothing and takes long. */
#define MAX_WORK ((uint64_t)1 << 20)
#define MAX_ARENA ((size_t)1 << 24)

static void *allocate(size_t size, size_t alignment) {
  void *memory;
  if (posix_memalign(&memory, alignment < sizeof(void *) ? sizeof(void *) : alignment, size) != 0) {
    fprintf(stderr, "out of memory: %lu bytes\n", (unsigned long)size);
    exit(2);
  }
  return memory;
}

/* Multiply-accumulates, window taps and values, as in kerasq/format/fuzz.py. */
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

static void run(const kq_network *network, uint32_t *checksums) {
  uint8_t *arena = allocate(kq_arena_bytes(network), kq_arena_alignment(network));
  set_inputs(network, arena);
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    const kq_tensor *output = network->operators[i].output;
    kq_invoke_operator(network, i, arena);
    checksums[i] = kq_crc32(0, arena + output->offset, output->bytes);
  }
  kq_selftest(network, arena, NULL);
  free(arena);
}

kq_tried kq_try_model(const uint8_t *bytes, size_t size, kq_error *error, uint32_t **checksums, uint32_t *operators) {
  uint8_t *model = allocate(size, 4);
  uint8_t *state = NULL;
  size_t state_bytes = 0;
  const kq_network *network;
  kq_tried tried = TRIED_REFUSED;
  memcpy(model, bytes, size);
  kq_status status = kq_prepare(model, size, &kq_portable_kernels, NULL, &state_bytes, &network, error);
  while (status == KQ_STATE_TOO_SMALL) {
    free(state);
    state = allocate(state_bytes, 8);
    status = kq_prepare(model, size, &kq_portable_kernels, state, &state_bytes, &network, error);
  }
  if (status == KQ_OK) {
    const bool small = work(network) <= MAX_WORK && kq_arena_bytes(network) <= MAX_ARENA;
    tried = describe(network) > 0 && small ? TRIED_RAN : TRIED_TOO_LARGE;
  }
  if (tried == TRIED_RAN) {
    uint32_t *found = allocate(network->operator_count * sizeof *found, sizeof *found);
    run(network, found);
    if (checksums != NULL) {
      *checksums = found;
      *operators = network->operator_count;
    } else {
      free(found);
    }
  }
  free(state);
  free(model);
  return tried;
}
