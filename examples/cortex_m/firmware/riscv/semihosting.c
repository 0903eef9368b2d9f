/* Semihosting on RISC-V: the operation in a0, its argument in a1, then a breakpoint between two instructions that do nothing: by
 * these three, in one page and none of them compressed, the host knows the call. */
#include "board.h"

__attribute__((noinline, aligned(16))) void call_host(uint32_t operation, const void *argument) {
  register uint32_t a0 __asm__("a0") = operation;
  register const void *a1 __asm__("a1") = argument;
  __asm__ volatile(".option push\n"
                   ".option norvc\n"
                   "slli x0, x0, 0x1f\n"
                   "ebreak\n"
                   "srai x0, x0, 7\n"
                   ".option pop"
                   : "+r"(a0)
                   : "r"(a1)
                   : "memory");
}
