/* Hides from a program what its processor has beyond AVX2 and FMA, so that kerasq and its peer are compared on AVX2 by a machine
 * that has AVX-512, AVX-VNNI or AMX:
 *
 *     gcc -O2 -shared -fPIC examples/benchmarks/avx2_only.c -o work/avx2_only.so
 *     LD_PRELOAD=$PWD/work/avx2_only.so python examples/benchmarks/desktop.py --output work/desktop
 *
 * Linux on Intel processors since Ivy Bridge: the kernel lets CPUID fault (arch_prctl(2), ARCH_CPUID), and the handler of the
 * fault answers with the bits of newer instructions cleared (Intel's manual, volume 2, CPUID, leaf 7). Elsewhere it says so and
 * changes nothing. Times are still those of this processor: its memory, its clock, its wide registers' halves. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { ARCH_SET_CPUID = 0x1012, EAX = 0, EBX, ECX, EDX };

/* Bits of leaf 7. Subleaf 0, EBX: AVX512 F, DQ, IFMA, PF, ER, CD, BW, VL; ECX: AVX512 VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ; EDX:
 * AVX512 4VNNIW, 4FMAPS, VP2INTERSECT, FP16, AMX BF16, TILE, INT8. Subleaf 1, EAX: AVX-VNNI, AVX512 BF16, AMX FP16, AVX-IFMA;
 * EDX: AVX-VNNI-INT8 and all else. */
static const uint32_t hidden[2][4] = {
    {[EBX] = 0xdc230000u, [ECX] = 0x00005842u, [EDX] = 0x03c0010cu},
    {[EAX] = 0x00a00030u, [EDX] = 0xffffffffu},
};

static long let_cpuid(int works) { return syscall(SYS_arch_prctl, ARCH_SET_CPUID, works); }

static void answer(int number, siginfo_t *info, void *context) {
  greg_t *const registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  const uint8_t *const instruction = (const uint8_t *)registers[REG_RIP];
  const uint32_t leaf = (uint32_t)registers[REG_RAX], subleaf = (uint32_t)registers[REG_RCX];
  uint32_t value[4];
  (void)info;
  if (instruction[0] != 0x0f || instruction[1] != 0xa2) { /* a fault of the program's own, which happens again */
    signal(number, SIG_DFL);
    return;
  }
  let_cpuid(1);
  __asm__ volatile("cpuid" : "=a"(value[EAX]), "=b"(value[EBX]), "=c"(value[ECX]), "=d"(value[EDX]) : "a"(leaf), "c"(subleaf));
  let_cpuid(0);
  for (int i = 0; i < 4 && leaf == 7 && subleaf < 2; ++i) value[i] &= ~hidden[subleaf][i];
  registers[REG_RAX] = value[EAX];
  registers[REG_RBX] = value[EBX];
  registers[REG_RCX] = value[ECX];
  registers[REG_RDX] = value[EDX];
  registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void) {
  static const char unable[] = "avx2_only: this machine can't hide instructions\n";
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = answer;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, NULL);
  if (let_cpuid(0) == 0) return;
  signal(SIGSEGV, SIG_DFL);
  if (write(STDERR_FILENO, unable, sizeof unable - 1) < 0) return;
}
