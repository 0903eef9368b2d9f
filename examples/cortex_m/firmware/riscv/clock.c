/* The counter of cycles that every RISC-V has in machine mode; the simulator counts an instruction as one. */
#include "board.h"

static uint32_t began;

static uint32_t cycles(void) {
  uint32_t value;
  __asm__ volatile(".option push\n"
                   ".option arch, +zicsr\n"
                   "csrr %0, mcycle\n"
                   ".option pop"
                   : "=r"(value));
  return value;
}

void start_clock(void) { began = cycles(); }

uint32_t ticks(void) { return cycles() - began; }
