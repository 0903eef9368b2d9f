// As much of Arduino.h as the sketch needs, on a host.
#include <cstdio>

struct Port {
  void begin(long) {}
  explicit operator bool() const { return true; }
  void print(const char *text) { std::fputs(text, stdout); }
  void print(long number) { std::printf("%ld", number); }
  void print(int number) { std::printf("%d", number); }
  void print(unsigned long number) { std::printf("%lu", number); }
  void println() { std::puts(""); }
};
static Port Serial;
static inline unsigned long micros() { return 0; }
static inline unsigned long millis() { return 0; }
static inline void delay(unsigned long) {}
