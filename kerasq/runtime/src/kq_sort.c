/* Heapsort: in place, without recursion, and never slower than n log n, however a file arranges its tensors. */
#include "kq_verify.h"

static void sift_down(kq_tensor *tensors, uint32_t root, uint32_t count, kq_order before) {
  const int32_t moving = tensors[root].first;
  for (uint32_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
    if (child + 1 < count && before(&tensors[tensors[child].first], &tensors[tensors[child + 1].first])) ++child;
    if (!before(&tensors[moving], &tensors[tensors[child].first])) break;
    tensors[root].first = tensors[child].first;
    root = child;
  }
  tensors[root].first = moving;
}

void kq_sort(kq_tensor *tensors, uint32_t count, kq_order before) {
  for (uint32_t root = count / 2; root-- > 0;) sift_down(tensors, root, count, before);
  for (uint32_t end = count; end-- > 1;) {
    const int32_t largest = tensors[0].first;
    tensors[0].first = tensors[end].first;
    tensors[end].first = largest;
    sift_down(tensors, 0, end, before);
  }
}
