/* Runs every operator of many networks between two calls of ticks each. Says how much stack each took. */
#include <string.h>

#include "board.h"
#include "kerasq_kernels.h"
#include "networks.h"

#define ADDRESS(name) &name,
static const kq_kernel *const list[] = {
#ifdef __ARM_FEATURE_DSP
    KQ_DSP_KERNELS(ADDRESS)
#endif
        KQ_PORTABLE_KERNELS(ADDRESS)};
static const kq_kernels kernels = {list, sizeof list / sizeof list[0]};

static void report(const char *what, uint32_t value) {
  print_text(what);
  print_number((int32_t)value);
  print_text("\n");
}

static void measure(const uint8_t *model, uint32_t size) {
  const kq_network *network;
  kq_error error;
  size_t state_bytes = sizeof state;
  paint_stack();
  kq_prepare(model, size, &kernels, state, &state_bytes, &network, &error);
  report("prepare stack ", stack_used());
  if (error.status != KQ_OK || kq_arena_bytes(network) > sizeof arena) {
    print_text(kq_status_text(error.status));
    leave(1);
  }
  memset(arena, 0x35, kq_arena_bytes(network));
  paint_stack();
  for (uint32_t i = 0; i < kq_operators(network); ++i) {
    (void)ticks();
    kq_invoke_operator(network, i, arena);
    (void)ticks();
  }
  report("invoke stack ", stack_used());
}

int main(void) {
  start_clock();
  for (const uint8_t *next = networks_begin; next < networks_end;) {
    const linked_network network = take_network(&next);
    measure(network.model, network.size);
  }
  return 0;
}
