/* libFuzzer: coverage-guided search for a file that the runtime neither refuses nor runs in bounds. In kerasq/runtime:
 *
 *     python -m kerasq.runtime.parity --seeds /tmp/seeds
 *     clang -std=c99 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Iinclude \
 *         fuzz/fuzz_target.c fuzz/try_model.c src/[a-z]*.c -o /tmp/fuzz_target
 *     /tmp/fuzz_target -max_len=4096 /tmp/corpus /tmp/seeds
 */
#include "try_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  kq_error error;
  kq_try_model(data, size, &error, NULL, NULL);
  return 0;
}
