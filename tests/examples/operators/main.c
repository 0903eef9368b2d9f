/* Runs the test vectors of many networks. Says which fail. */
#include <string.h>

#include "board.h"
#include "kerasq_kernels.h"
#include "networks.h"

#define ADDRESS(name) &name,
static const kq_kernel *const list[] = {KQ_DSP_KERNELS(ADDRESS) KQ_PORTABLE_KERNELS(ADDRESS)};
static const kq_kernels kernels = {list, sizeof list / sizeof list[0]};

static int32_t run(const uint8_t *model, uint32_t size, int32_t *where) {
  const kq_network *network;
  kq_error error;
  size_t state_bytes = sizeof state;
  kq_prepare(model, size, &kernels, state, &state_bytes, &network, &error);
  if (error.status == KQ_OK && kq_arena_bytes(network) > sizeof arena) return -1;
  if (error.status == KQ_OK) {
    memset(arena, 0xA5, kq_arena_bytes(network));
    kq_selftest(network, arena, &error);
  }
  *where = error.operator_index;
  return (int32_t)error.status;
}

int main(void) {
  int32_t number = 0, where = -1;
  for (const uint8_t *next = networks_begin; next < networks_end; ++number) {
    const linked_network network = take_network(&next);
    const int32_t status = run(network.model, network.size, &where);
    if (status != KQ_OK) {
      print_text("failed ");
      print_number(number);
      print_text(" status ");
      print_number(status);
      print_text("\n");
    }
  }
  print_text("networks ");
  print_number(number);
  print_text("\n");
  return 0;
}
