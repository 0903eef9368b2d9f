/* Runs the networks of this folder on a host, with the calls that a firmware makes. Written by kerasq-convert.
 *
 *     kerasq_example             the self-test of each network, and what it computes of zeros
 *     kerasq_example@FILES_OF_NETWORKS@
 *                                the same, with stored values of all its inputs from a file for each network */
#include <stdio.h>
#include <string.h>

#include "kerasq_networks.h"

/* Working memory: one for all networks, as they run one after the other. */
KERASQ_NETWORKS_ALIGNAS static uint8_t arena[KERASQ_NETWORKS_ARENA_BYTES];

static int failed(const char *what, const kq_error *error) {
  fprintf(stderr, "%s: %s (operator %d, tensor %d)\n", what, kq_status_text(error->status), (int)error->operator_index,
          (int)error->tensor_index);
  return 1;
}

/* The next values of a file; zeros where there is none. */
static int read_values(FILE *file, void *values, size_t bytes) {
  memset(values, 0, bytes);
  return file == NULL || fread(values, 1, bytes, file) == bytes;
}

@NETWORKS@
int main(int argc, char **argv) {
  int failures = 0;
@CALLS@
  return failures == 0 ? 0 : 1;
}
