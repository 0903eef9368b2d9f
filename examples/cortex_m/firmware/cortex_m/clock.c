/* The processor's clock. On a board, with -DCLOCK_DWT, the counter of cycles that a Cortex-M3, M4, M7 or M33 has; else SysTick, 24 bits,
 * made 32 bits wide by counting how often it wraps. (QEMU has no DWT, and a Cortex-M0 neither.) */
#include "board.h"

#ifdef CLOCK_DWT

#define DEBUG_CONTROL (*(volatile uint32_t *)0xe000edfcu)
#define DWT_CONTROL (*(volatile uint32_t *)0xe0001000u)
#define DWT_CYCLES (*(volatile uint32_t *)0xe0001004u)
#define ENABLE_TRACE (1u << 24)
#define ENABLE_CYCLES 1u

void clock_wrapped(void);
void clock_wrapped(void) {}

void start_clock(void) {
  DEBUG_CONTROL |= ENABLE_TRACE;
  DWT_CYCLES = 0;
  DWT_CONTROL |= ENABLE_CYCLES;
}

uint32_t ticks(void) { return DWT_CYCLES; }

#else

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

#endif
