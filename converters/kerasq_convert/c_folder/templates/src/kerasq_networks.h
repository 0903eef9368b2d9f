/* The networks of this folder, and the memory that they share as they run one after the other. Written by kerasq-convert.
 *
 *     KERASQ_NETWORKS_ALIGNAS static uint8_t arena[KERASQ_NETWORKS_ARENA_BYTES];
 *
 * A network has a state of its own for as long as it is used. */
#ifndef KERASQ_NETWORKS_H
#define KERASQ_NETWORKS_H

@INCLUDES@

/* The largest of: bytes of working memory, its alignment, bytes of state. */
#define KERASQ_NETWORKS_LARGER(a, b) ((a) > (b) ? (a) : (b))
@SIZES@

/* That alignment, in C99, C11 and C++11. */
#if defined(__cplusplus)
#define KERASQ_NETWORKS_ALIGNAS alignas(KERASQ_NETWORKS_ARENA_ALIGNMENT)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define KERASQ_NETWORKS_ALIGNAS _Alignas(KERASQ_NETWORKS_ARENA_ALIGNMENT)
#elif defined(__GNUC__)
#define KERASQ_NETWORKS_ALIGNAS __attribute__((aligned(KERASQ_NETWORKS_ARENA_ALIGNMENT)))
#else
#error "Say here how this compiler aligns a variable."
#endif

#endif
