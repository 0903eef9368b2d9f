/* Semihosting on Cortex-M: the operation in r0, its argument in r1, then a breakpoint that the host answers. */
#include "board.h"

void call_host(uint32_t operation, const void *argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}
