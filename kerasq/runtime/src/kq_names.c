#include "kq_verify.h"

/* The length of a name lies before the text. */
static uint32_t length(const kq_tensor *tensor) { return kq_u32((const uint8_t *)tensor->name - 4); }

/* Of two names of one length, which comes first: 0 where they are equal. */
static int compare(const kq_tensor *a, const kq_tensor *b) {
  const uint32_t a_bytes = length(a), b_bytes = length(b);
  return a_bytes != b_bytes ? (a_bytes < b_bytes ? -1 : 1) : memcmp(a->name, b->name, a_bytes);
}

static bool before(const kq_tensor *a, const kq_tensor *b) { return compare(a, b) < 0; }

/* Inputs and outputs of the network have names; whether their indices are sound is not known yet. */
static kq_status check_ends(const kq_network *network, const uint8_t *indices, uint32_t count, kq_error *error) {
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t index = kq_u32(indices + 4 * (size_t)i);
    if (index < network->tensor_count && length(&network->tensors[index]) == 0) {
      return kq_fail(error, KQ_BAD_TEXT, -1, (int32_t)index);
    }
  }
  return KQ_OK;
}

kq_status kq_check_names(kq_network *network, kq_error *error) {
  kq_tensor *tensors = network->tensors;
  for (uint32_t i = 0; i < network->tensor_count; ++i) tensors[i].first = (int32_t)i;
  kq_sort(tensors, network->tensor_count, before);
  for (uint32_t i = 1; i < network->tensor_count; ++i) {
    const kq_tensor *tensor = &tensors[tensors[i].first];
    if (length(tensor) != 0 && compare(&tensors[tensors[i - 1].first], tensor) == 0) {
      return kq_fail(error, KQ_BAD_TEXT, -1, tensors[i].first);
    }
  }
  const kq_status inputs = check_ends(network, network->inputs, network->input_count, error);
  return inputs != KQ_OK ? inputs : check_ends(network, network->outputs, network->output_count, error);
}
