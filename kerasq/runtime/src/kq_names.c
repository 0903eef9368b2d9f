#include "kq_verify.h"

/* Of two names of one length, which comes first: 0 where they are equal. The length lies before the text. */
static int compare(const kq_tensor *a, const kq_tensor *b) {
  const uint32_t a_bytes = kq_u32((const uint8_t *)a->name - 4), b_bytes = kq_u32((const uint8_t *)b->name - 4);
  return a_bytes != b_bytes ? (a_bytes < b_bytes ? -1 : 1) : memcmp(a->name, b->name, a_bytes);
}

static bool before(const kq_tensor *a, const kq_tensor *b) { return compare(a, b) < 0; }

kq_status kq_check_names(kq_network *network, kq_error *error) {
  kq_tensor *tensors = network->tensors;
  for (uint32_t i = 0; i < network->tensor_count; ++i) tensors[i].first = (int32_t)i;
  kq_sort(tensors, network->tensor_count, before);
  for (uint32_t i = 1; i < network->tensor_count; ++i) {
    if (compare(&tensors[tensors[i - 1].first], &tensors[tensors[i].first]) == 0) {
      return kq_fail(error, KQ_BAD_TEXT, -1, tensors[i].first);
    }
  }
  return KQ_OK;
}
