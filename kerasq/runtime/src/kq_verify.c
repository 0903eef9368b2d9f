/* Whether a loaded network runs in bounds and exactly, with no check left to the kernels: the rules that
 * kerasq/verification/verifier.py states, and those of kerasq/ops. The first one that is broken is reported. */
#include "kq_verify.h"

/* The embedded test vector has the stored values of all inputs, and a checksum for each operator. */
static bool has_sound_test(const kq_network *network) {
  uint32_t left = network->test_input_bytes;
  if (network->test_input == NULL) return true;
  for (uint32_t i = 0; i < network->input_count; ++i) {
    const uint32_t bytes = network->tensors[kq_u32(network->inputs + 4 * (size_t)i)].bytes;
    if (bytes > left) return false;
    left -= bytes;
  }
  return left == 0 && network->test_checksum_count == network->operator_count;
}

kq_status kq_verify(kq_network *network, kq_error *error) {
  kq_status status = kq_check_names(network, error);
  if (status == KQ_OK) status = kq_check_links(network, error);
  if (status != KQ_OK) return status;
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    kq_operator *op = &network->operators[i];
    status = kq_check_operator(op);
    if (status != KQ_OK) return kq_fail(error, status, (int32_t)i, (int32_t)(op->output - network->tensors));
  }
  status = kq_prove_widths(network, error);
  if (status == KQ_OK) status = kq_check_plan(network, error);
  if (status == KQ_OK && !has_sound_test(network)) status = kq_fail(error, KQ_BAD_TEST, -1, -1);
  return status;
}
