// A firmware in C++17 with two networks in one arena, on the boards of examples/cortex_m: says what the first one computes of 7 i + 3.
#include "kerasq_networks.h"

extern "C" {
void print_text(const char *text);
void print_number(int32_t value);
}

KERASQ_NETWORKS_ALIGNAS static uint8_t arena[KERASQ_NETWORKS_ARENA_BYTES];
static uint64_t one_state[ONE_STATE_BYTES / sizeof(uint64_t)];
static uint64_t two_state[TWO_STATE_BYTES / sizeof(uint64_t)];

static const kq_network *prepare(const void *data, size_t bytes, const kq_kernels &kernels, void *state, size_t state_bytes) {
  const kq_network *network = nullptr;
  kq_error error = {};
  kq_prepare(data, bytes, &kernels, state, &state_bytes, &network, &error);
  print_text(kq_status_text(error.status));
  print_text(kq_arena_alignment(network) > KERASQ_NETWORKS_ARENA_ALIGNMENT ? ", arena misaligned\n" : "\n");
  return network;
}

static void infer(const kq_network *network) {
  auto *const input = static_cast<one_input_0 *>(kq_tensor_data(network, kq_input(network, 0), arena));
  for (uint32_t i = 0; i < ONE_INPUT_0_ELEMENTS; ++i) input[i] = static_cast<one_input_0>(7 * i + 3);
  kq_invoke(network, arena);
  const auto *const output = static_cast<const one_output_0 *>(kq_tensor_data(network, kq_output(network, 0), arena));
  print_text("output");
  for (uint32_t i = 0; i < ONE_OUTPUT_0_ELEMENTS; ++i) {
    print_text(" ");
    print_number(output[i]);
  }
  print_text("\n");
}

int main() {
  const kq_network *const one = prepare(one_data, ONE_BYTES, one_kernels, one_state, sizeof one_state);
  const kq_network *const two = prepare(two_data, TWO_BYTES, two_kernels, two_state, sizeof two_state);
  infer(one);
  print_text("selftest ");
  print_text(kq_status_text(kq_selftest(one, arena, nullptr)));
  print_text("\n");
  kq_invoke(two, arena);
  infer(one);
  return 0;
}
