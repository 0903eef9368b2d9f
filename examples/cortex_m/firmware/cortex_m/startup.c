/* From reset to main, for any Cortex-M; symbols of the memory come from memory.ld. */
#include "board.h"

extern uint32_t data_source[], data_start[], data_end[], bss_start[], bss_end[], stack_end[];

int main(void);
void reset(void);

void reset(void) {
  const uint32_t *from = data_source;
  for (uint32_t *to = data_start; to < data_end; ++to) *to = *from++;
  for (uint32_t *to = bss_start; to < bss_end; ++to) *to = 0;
  leave(main());
}

static void fault(void) {
  print_text("processor fault\n");
  leave(3);
}

void clock_wrapped(void);

/* What the processor begins with: its stack, and the handlers of exceptions 1 to 15. No interrupt of a peripheral is enabled. */
__attribute__((section(".vectors"), used)) static const struct {
  uint32_t *stack;
  void (*handlers[15])(void);
} vectors = {
    stack_end,
    {reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, clock_wrapped},
};
