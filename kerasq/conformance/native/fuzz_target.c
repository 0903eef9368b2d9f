/* libFuzzer: coverage-guided search for a file that the runtime neither refuses nor runs in bounds, or on which tiers of kernels
 * differ. In kerasq/runtime, on a processor with AVX-512 VNNI (elsewhere leave out what it has not):
 *
 *     python -m kerasq.conformance.parity --seeds /tmp/seeds
 *     clang -std=c99 -g -O1 -ffp-contract=off -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Iinclude \
 *         -DKQ_HAVE_AVX2=1 -mavx2 -mfma -DKQ_HAVE_AVX512=1 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni \
 *         ../conformance/native/fuzz_target.c ../conformance/native/try_model.c \
 *         src/{,arm,native,packed,x86}/[a-z]*.c -o /tmp/fuzz_target
 *     /tmp/fuzz_target -max_len=4096 /tmp/corpus /tmp/seeds
 */
#include <stdlib.h>

#include "try_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  kq_error error;
  if (kq_try_model(data, size, &error, NULL, NULL, NULL) == TRIED_DIFFERS) abort();
  return 0;
}
