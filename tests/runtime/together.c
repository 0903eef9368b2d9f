/* together TIER MODEL ...: EXAMPLES examples of networks of one input and one output, one after the other and together. Exit status
 * 0 where the outputs are equal for every model. */
#define _POSIX_C_SOURCE 200112L /* posix_memalign */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kerasq_native.h"

enum { EXAMPLES = 9, TOGETHER = 7 };

static uint8_t *allocate(size_t bytes) {
  void *memory;
  if (posix_memalign(&memory, 64, bytes) != 0) exit(2);
  return memset(memory, 0, bytes);
}

static int equal(const char *path, const kq_kernels *kernels) {
  const kq_network *network;
  kq_error error;
  FILE *file = fopen(path, "rb");
  if (file == NULL) exit(2);
  uint8_t *model = allocate(1 << 20), *state = NULL;
  size_t size = fread(model, 1, 1 << 20, file), state_bytes = 0;
  fclose(file);
  while (kq_prepare(model, size, kernels, state, &state_bytes, &network, &error) != KQ_OK) {
    if (error.status != KQ_STATE_TOO_SMALL) exit(2);
    free(state);
    state = allocate(state_bytes);
  }
  const size_t input_bytes = kq_describe_tensor(network, kq_input(network, 0)).bytes, step = (kq_arena_bytes(network) + 63) / 64 * 64;
  const size_t output_bytes = kq_describe_tensor(network, kq_output(network, 0)).bytes;
  uint8_t *inputs = allocate(EXAMPLES * input_bytes), *arenas = allocate(TOGETHER * step);
  uint8_t *alone = allocate(EXAMPLES * output_bytes), *together = allocate(EXAMPLES * output_bytes);
  for (size_t i = 0; i < EXAMPLES * input_bytes; ++i) inputs[i] = (uint8_t)(i * 2654435761u >> 13);
  const void *from = inputs;
  void *to = alone;
  kq_run(network, arenas, &from, &to, EXAMPLES);
  to = together;
  kq_run_together(network, arenas, step, TOGETHER, &from, &to, EXAMPLES);
  const int same = memcmp(alone, together, EXAMPLES * output_bytes) == 0;
  free(together);
  free(alone);
  free(arenas);
  free(inputs);
  free(state);
  free(model);
  return same;
}

int main(int count, char **arguments) {
  const kq_kernels *kernels = kq_native_kernels(arguments[1], NULL);
  int all = kernels != NULL && count > 2;
  for (int i = 2; i < count; ++i) all = all && equal(arguments[i], kernels);
  return all ? 0 : 1;
}
