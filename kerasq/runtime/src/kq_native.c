/* Which kernels this processor runs, and how long they take. */
#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#endif
#if defined(__APPLE__) && !defined(_DARWIN_C_SOURCE)
#define _DARWIN_C_SOURCE 1 /* sysctlbyname */
#endif
#include "kerasq_native.h"

#include <time.h>

#include "kerasq_kernels.h"
#include "kq_internal.h"

#define ADDRESS(name) &name,
#define KERNELS(kernels) {.list = kernels, .count = (uint32_t)(sizeof kernels / sizeof kernels[0])}

#ifdef KQ_HAVE_AVX2
#include "x86/kq_peak.h"
#include "x86/kq_x86_kernels.h"
static const kq_kernel *const avx2_list[] = {KQ_AVX2_KERNELS(ADDRESS) KQ_PORTABLE_KERNELS(ADDRESS)};
static const kq_kernels avx2 = KERNELS(avx2_list);
static bool has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

#ifdef KQ_HAVE_AVX512
static const kq_kernel *const avx512_list[] = {KQ_AVX512_KERNELS(ADDRESS) KQ_AVX2_KERNELS(ADDRESS) KQ_PORTABLE_KERNELS(ADDRESS)};
static const kq_kernels avx512 = KERNELS(avx512_list);
static bool has_avx512(void) {
#ifdef KQ_SIMDE /* compiled against SIMDe: runs wherever AVX2 does */
  return has_avx2();
#else
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
#endif
}
#endif

#ifdef KQ_HAVE_NEON
#include "neon/kq_neon_kernels.h"
static const kq_kernel *const neon_list[] = {KQ_NEON_KERNELS(ADDRESS) KQ_PORTABLE_KERNELS(ADDRESS)};
static const kq_kernels neon = KERNELS(neon_list);
#endif

#ifdef KQ_HAVE_DOTPROD
static const kq_kernel *const dotprod_list[] = {KQ_DOTPROD_KERNELS(ADDRESS) KQ_NEON_KERNELS(ADDRESS) KQ_PORTABLE_KERNELS(ADDRESS)};
static const kq_kernels dotprod = KERNELS(dotprod_list);
#if defined(__linux__)
#include <sys/auxv.h>
static bool has_dotprod(void) { return (getauxval(AT_HWCAP) & 1ul << 20) != 0; } /* HWCAP_ASIMDDP, which old headers lack */
#elif defined(__APPLE__)
#include <sys/sysctl.h>
static bool has_dotprod(void) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname("hw.optional.arm.FEAT_DotProd", &value, &size, NULL, 0) == 0 && value != 0;
}
#else
static bool has_dotprod(void) { return false; }
#endif
#endif

/* The kernels of a Cortex-M4 as this machine computes them: to test them, and to plan for it. Only for who names it. */
static const kq_kernel *const dsp_list[] = {KQ_DSP_KERNELS(ADDRESS) KQ_PORTABLE_KERNELS(ADDRESS)};
static const kq_kernels dsp = KERNELS(dsp_list);
#define DSP "dsp"

static bool always(void) { return true; }

/* From slow to fast. */
static const struct {
  const char *name;
  const kq_kernels *kernels;
  bool (*runs_here)(void);
  uint64_t (*peak)(uint32_t rounds); /* NULL: not known */
} tiers[] = {
    {.name = "portable", .kernels = &kq_portable_kernels, .runs_here = always},
#ifdef KQ_HAVE_AVX2
    {.name = "avx2", .kernels = &avx2, .runs_here = has_avx2, .peak = kq_peak_avx2},
#endif
#ifdef KQ_HAVE_AVX512
    {.name = "avx512vnni", .kernels = &avx512, .runs_here = has_avx512, .peak = kq_peak_avx512},
#endif
#ifdef KQ_HAVE_NEON
    {.name = "neon", .kernels = &neon, .runs_here = always}, /* every AArch64 processor has it */
#endif
#ifdef KQ_HAVE_DOTPROD
    {.name = "dotprod", .kernels = &dotprod, .runs_here = has_dotprod},
#endif
};

const kq_interface *kq_native_interface(void) {
  static const kq_interface interface = {
      .number = KQ_INTERFACE,
      .format_version = KQ_VERSION,
      .error_bytes = sizeof(kq_error),
      .tensor_info_bytes = sizeof(kq_tensor_info),
      .operator_info_bytes = sizeof(kq_operator_info),
  };
  return &interface;
}

const char *kq_native_tier(uint32_t index) {
  return index < sizeof tiers / sizeof tiers[0] && tiers[index].runs_here() ? tiers[index].name : NULL;
}

const kq_kernels *kq_native_kernels(const char *isa, const char **chosen) {
  for (uint32_t i = (uint32_t)(sizeof tiers / sizeof tiers[0]); i-- > 0;) {
    if ((isa == NULL || strcmp(isa, tiers[i].name) == 0) && tiers[i].runs_here()) {
      if (chosen != NULL) *chosen = tiers[i].name;
      return tiers[i].kernels;
    }
  }
  if (isa != NULL && strcmp(isa, DSP) == 0) {
    if (chosen != NULL) *chosen = DSP;
    return &dsp;
  }
  return NULL;
}

uint64_t kq_native_peak(const char *isa, uint32_t rounds) {
  for (uint32_t i = 0; i < sizeof tiers / sizeof tiers[0]; ++i) {
    if (strcmp(isa, tiers[i].name) == 0 && tiers[i].peak != NULL && tiers[i].runs_here()) return tiers[i].peak(rounds);
  }
  return 0;
}

static uint64_t nanoseconds(void) {
  struct timespec now;
#ifdef _WIN32
  timespec_get(&now, TIME_UTC);
#else
  clock_gettime(CLOCK_MONOTONIC, &now);
#endif
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void kq_native_times(const kq_network *network, void *arena, uint64_t *times) {
  const uint32_t count = kq_operators(network);
  *times++ = nanoseconds();
  *times++ = nanoseconds();
  for (uint32_t i = 0; i < count; ++i) {
    kq_invoke_operator(network, i, arena);
    *times++ = nanoseconds();
  }
}
