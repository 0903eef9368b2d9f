/* SysTick, 24 bits of the processor's clock, made 32 bits wide by counting how often it wraps. */
#include "board.h"

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xe000e010u)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xe000e014u)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xe000e018u)
#define ENABLE_WITH_INTERRUPT_FROM_PROCESSOR_CLOCK 7u
#define PERIOD (1u << 24)

static volatile uint32_t wraps;

void clock_wrapped(void);
void clock_wrapped(void) { ++wraps; }

void start_clock(void) {
  SYSTICK_RELOAD = PERIOD - 1;
  SYSTICK_VALUE = 0; /* whatever is written: begin anew */
  SYSTICK_CONTROL = ENABLE_WITH_INTERRUPT_FROM_PROCESSOR_CLOCK;
}

uint32_t ticks(void) {
  uint32_t before, value;
  do {
    before = wraps;
    value = SYSTICK_VALUE; /* counts down */
  } while (before != wraps);
  return before * PERIOD + (PERIOD - value) % PERIOD;
}
