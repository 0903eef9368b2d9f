/* What the firmware needs of a board: a way to say something, a clock, and how deep the stack has been. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

/* Semihosting: through the debugger, or the simulator, to the standard output of the host. */
void print_text(const char *text);
void print_number(int32_t value);
_Noreturn void leave(int status);

/* The call that these are made of: how it is done is the processor's matter. */
void call_host(uint32_t operation, const void *argument);

/* Ticks of the processor's clock since start_clock; wraps after 2^32. */
void start_clock(void);
uint32_t ticks(void);

/* Bytes of stack that were used below the caller since it painted the stack. */
void paint_stack(void);
uint32_t stack_used(void);

#endif
