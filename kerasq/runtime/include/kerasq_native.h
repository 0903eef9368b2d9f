/* The fastest kernels of the processor at hand: portable C; on x86-64 AVX2 and AVX-512 VNNI, on AArch64 NEON and SDOT. All give the
 * same integers. */
#ifndef KERASQ_NATIVE_H
#define KERASQ_NATIVE_H

#include "kerasq.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a program that loads the library at run time must have been made for: it calls kq_native_interface before anything else,
 * which is the one function that no version changes, and uses no library that answers something else. `number` changes with the
 * declarations of kerasq.h and this file, the others are there to notice it where it was forgotten. */
#define KQ_INTERFACE 5
typedef struct {
  uint32_t number; /* KQ_INTERFACE */
  uint32_t format_version; /* KQ_VERSION */
  uint32_t error_bytes, tensor_info_bytes, operator_info_bytes; /* sizes of the structs */
} kq_interface;
const kq_interface *kq_native_interface(void);

/* The kernels of a tier.
 *   isa     "portable", "avx2" or "avx512vnni", or on AArch64 "neon" or "dotprod"; NULL for the best that this processor has;
 *           "dsp" for those of a Cortex-M4, as this processor emulates them: they are no tier
 *   chosen  the tier's name; may be NULL
 * Returns NULL where this processor, or this build of the library, lacks the tier, or there is none of that name. */
const kq_kernels *kq_native_kernels(const char *isa, const char **chosen);

/* The multiplier's peak: runs `rounds` rounds of nothing but the tier's multiply instruction for 8-bit values (vpmaddubsw,
 * vpdpbusd) on registers, as many as its pipelines take at once, for a caller to time. Returns the multiply-accumulates done; 0
 * for "portable" and for tiers that don't run here. */
uint64_t kq_native_peak(const char *isa, uint32_t rounds);

/* kq_invoke with a look at the clock between operators, in nanoseconds: twice before the first, which says what a look takes, then
 * after each. `times` has room for kq_operators() + 2. */
void kq_native_times(const kq_network *network, void *arena, uint64_t *times);

/* ---- One example in several threads: where a network is large enough to gain by it ---- */

/* How many of `threads` threads the network gains by: 1, or all. It is told by multiply-accumulates alone, and so the same on every
 * machine with these kernels. */
uint32_t kq_native_threads(const kq_network *network, uint32_t threads);

/* Working memory for a run by as many: no less than kq_arena_bytes says, and aligned as kq_arena_alignment says, or to 64 bytes,
 * whichever is more. */
size_t kq_native_arena_bytes(const kq_network *network, uint32_t threads);

/* A team of threads, the caller's among them, which sleep while there is nothing to do: at most 64. NULL for fewer than two, where
 * there is no memory, or where the system has no threads that this library knows (POSIX).
 *   least_macs  multiply-accumulates of a convolution that are worth dividing; 0 for what gains by it nearly everywhere */
typedef struct kq_team kq_team;
kq_team *kq_native_team(uint32_t threads, uint32_t least_macs);

/* Ends it; nobody may use it any more. Nothing for NULL. */
void kq_native_dismiss(kq_team *team);

/* kq_run, bit for bit, by a team and in an arena of kq_native_arena_bytes for as many threads as the team was made for. By the
 * caller's thread alone where `team` is NULL, in use by another thread, or another process's (after fork). */
void kq_native_run(const kq_network *network, kq_team *team, void *arena, const void *const *inputs, void *const *outputs,
                   size_t examples);

/* Tier number 0, 1, ... of those that run here, the best last; NULL from their number on. */
const char *kq_native_tier(uint32_t index);

#ifdef __cplusplus
}
#endif
#endif
