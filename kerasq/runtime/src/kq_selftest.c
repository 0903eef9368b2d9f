/* The embedded test vector: does this program, on this processor, compute what the converter's reference engine computed?
 *
 * kq_prepare has made sure that the vector holds as many bytes as all inputs together and one checksum per operator. */
#include "kq_internal.h"

static void set_inputs(const kq_network *network, uint8_t *arena) {
  const uint8_t *stored = network->test_input;
  for (uint32_t i = 0; i < network->input_count; ++i) {
    const kq_tensor *const input = network->tensors + kq_input(network, i);
    memcpy(arena + input->offset, stored, input->bytes);
    stored += input->bytes;
  }
}

kq_status kq_selftest(const kq_network *network, void *arena, kq_error *error) {
  kq_error ignored;
  kq_error *const where = error != NULL ? error : &ignored;
  uint8_t *const memory = (uint8_t *)arena;
  if (network->test_input == NULL) return kq_fail(where, KQ_NO_TEST, -1, -1);
  set_inputs(network, memory);
  /* A tensor's place may be taken over by a later one: each is compared as soon as it is computed. What follows the first
   * that differs computes from wrong values, so it is the one to know. */
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    const kq_tensor *const output = network->operators[i].output;
    const uint32_t expected = kq_u32(network->test_checksums + 4u * (size_t)i);
    kq_invoke_operator(network, i, arena);
    if (expected != 0 /* not checked: FLOAT32, or computed from inexact floats */ &&
        kq_crc32(0, memory + output->offset, output->bytes) != expected) {
      return kq_fail(where, KQ_TEST_FAILED, (int32_t)i, (int32_t)(output - network->tensors));
    }
  }
  return kq_fail(where, KQ_OK, -1, -1);
}
