/* Stack use: everything below the caller gets a colour; what has lost it was used. */
#include "board.h"

#define COLOUR 0xc01013edu

extern uint32_t stack_start[]; /* lowest word, from memory.ld */

static uint32_t *painted_end;

__attribute__((noinline)) void paint_stack(void) {
  uint32_t *const here = (uint32_t *)__builtin_frame_address(0);
  painted_end = here - 8; /* this function's own frame lies below `here` */
  for (uint32_t *word = stack_start; word < painted_end; ++word) *(volatile uint32_t *)word = COLOUR;
}

uint32_t stack_used(void) {
  const volatile uint32_t *word = stack_start;
  while (word < painted_end && *word == COLOUR) ++word;
  return (uint32_t)((uintptr_t)painted_end - (uintptr_t)word) + 8 * sizeof *word;
}
