/* From reset to main, for any RV32 that starts in machine mode; symbols of the memory come from the board's linker script. */
#include "board.h"

extern uint32_t data_source[], data_start[], data_end[], bss_start[], bss_end[], stack_end[];

int main(void);
_Noreturn void start(void);
void trap(void);

/* What the processor begins with, before there is a stack. */
__attribute__((section(".vectors"), used, naked)) void reset(void);
void reset(void) {
  __asm__ volatile("la sp, stack_end\n"
                   "la t0, trap\n"
                   ".option arch, +zicsr\n"
                   "csrw mtvec, t0\n"
                   "j start");
}

void start(void) {
  const uint32_t *from = data_source;
  for (uint32_t *to = data_start; to < data_end; ++to) *to = *from++;
  for (uint32_t *to = bss_start; to < bss_end; ++to) *to = 0;
  leave(main());
}

__attribute__((aligned(4), used)) void trap(void) {
  print_text("processor trap\n");
  leave(3);
}
