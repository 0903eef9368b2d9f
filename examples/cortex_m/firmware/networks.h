/* Many networks in one program: what batches.py links, from networks_begin to networks_end, each with its size before it, both padded
 * to 8 bytes. And the memory that they share. */
#ifndef NETWORKS_H
#define NETWORKS_H

#include <stddef.h>
#include <stdint.h>

__asm__(".section .rodata.networks\n"
        ".balign 8\n"
        ".global networks_begin\n"
        "networks_begin:\n"
        ".incbin \"networks.bin\"\n"
        ".global networks_end\n"
        "networks_end:\n"
        ".text\n");
extern const uint8_t networks_begin[], networks_end[];

static _Alignas(64) uint8_t arena[1 << 20];
static uint64_t state[4096];

typedef struct {
  const uint8_t *model;
  uint32_t size;
} linked_network;

/* Takes the network at *next, and moves it on. */
static inline linked_network take_network(const uint8_t **next) {
  const linked_network network = {*next + 8, *(const uint32_t *)(const void *)*next};
  *next += 8 + (network.size + 7) / 8 * 8;
  return network;
}

#endif
