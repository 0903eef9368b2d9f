/* What is said to the host, by semihosting: the debugger, or the simulator, answers. */
#include "board.h"

#define SYS_WRITE0 0x04        /* argument: a text that ends with 0 */
#define SYS_EXIT_EXTENDED 0x20 /* argument: reason and exit status */
#define ADP_STOPPED_APPLICATION_EXIT 0x20026u

void print_text(const char *text) { call_host(SYS_WRITE0, text); }

void print_number(int32_t value) {
  char digits[12];
  char *first = digits + sizeof digits - 1;
  uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
  *first = '\0';
  do {
    *--first = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (value < 0) *--first = '-';
  print_text(first);
}

void leave(int status) {
  const uint32_t block[2] = {ADP_STOPPED_APPLICATION_EXIT, (uint32_t)status};
  call_host(SYS_EXIT_EXTENDED, block);
  for (;;) {
  }
}
