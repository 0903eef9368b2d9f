/* The list of every kernel in C99. The program that names it links them all. */
#include "kerasq_kernels.h"

#define ADDRESS(name) &name,

static const kq_kernel *const list[] = {KQ_PORTABLE_KERNELS(ADDRESS)};

const kq_kernels kq_portable_kernels = {.list = list, .count = (uint32_t)(sizeof list / sizeof list[0])};
