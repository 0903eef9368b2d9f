/* Files from standard input, each after its length (uint32, little endian), tried one after the other: a line for each says
 *
 *     refused STATUS OPERATOR TENSOR
 *     too large
 *     ran CHECKSUM ...                the CRC-32 of what each operator wrote
 *     differs TIER OPERATOR           kernels of that tier refuse it, or first compute other integers there
 *
 * and after the last file, lines that say how often each kernel of each tier ran (kq_print_kernels).
 * kerasq/conformance/parity.py builds it with sanitizers, feeds it, and compares with what Python makes of the same files. */
#include <stdio.h>
#include <stdlib.h>

#include "try_model.h"

static void answer(const uint8_t *bytes, size_t size) {
  kq_error error;
  uint32_t *checksums, operators;
  const char *tier;
  switch (kq_try_model(bytes, size, &error, &checksums, &operators, &tier)) {
    case TRIED_REFUSED:
      printf("refused %d %ld %ld\n", (int)error.status, (long)error.operator_index, (long)error.tensor_index);
      break;
    case TRIED_TOO_LARGE: printf("too large\n"); break;
    case TRIED_DIFFERS: printf("differs %s %ld\n", tier, (long)error.operator_index); break;
    case TRIED_RAN:
      printf("ran");
      for (uint32_t i = 0; i < operators; ++i) printf(" %lu", (unsigned long)checksums[i]);
      printf("\n");
      free(checksums);
      break;
  }
  fflush(stdout);
}

int main(void) {
  uint8_t prefix[4];
  while (fread(prefix, 1, sizeof prefix, stdin) == sizeof prefix) {
    const size_t size = (size_t)prefix[0] | (size_t)prefix[1] << 8 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 24;
    uint8_t *bytes = malloc(size + 1); /* never 0 bytes, for which malloc may give NULL */
    if (bytes == NULL || fread(bytes, 1, size, stdin) != size) {
      fprintf(stderr, "a file of %lu bytes did not arrive\n", (unsigned long)size);
      return 2;
    }
    answer(bytes, size);
    free(bytes);
  }
  kq_print_kernels(stdout);
  return 0;
}
