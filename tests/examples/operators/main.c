/* Runs the test vectors of many networks, which the linker puts between networks_begin and networks_end: each with its size before
 * it, both padded to 8 bytes. Says which fail. */
#include <string.h>

#include "board.h"
#include "kerasq_kernels.h"

__asm__(".section .rodata.networks\n"
        ".balign 8\n"
        ".global networks_begin\n"
        "networks_begin:\n"
        ".incbin \"networks.bin\"\n"
        ".global networks_end\n"
        "networks_end:\n"
        ".text\n");
extern const uint8_t networks_begin[], networks_end[];

#define ADDRESS(name) &name,
static const kq_kernel *const list[] = {KQ_DSP_KERNELS(ADDRESS) KQ_PORTABLE_KERNELS(ADDRESS)};
static const kq_kernels kernels = {list, sizeof list / sizeof list[0]};

static _Alignas(64) uint8_t arena[1 << 20];
static uint64_t state[4096];

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
    const uint32_t size = *(const uint32_t *)(const void *)next;
    const int32_t status = run(next + 8, size, &where);
    if (status != KQ_OK) {
      print_text("failed ");
      print_number(number);
      print_text(" status ");
      print_number(status);
      print_text("\n");
    }
    next += 8 + (size + 7) / 8 * 8;
  }
  print_text("networks ");
  print_number(number);
  print_text("\n");
  return 0;
}
