/* kq_native_peak of each tier. */
#ifndef KQ_PEAK_H
#define KQ_PEAK_H

#include <stdint.h>

uint64_t kq_peak_avx2(uint32_t rounds);
uint64_t kq_peak_avx512(uint32_t rounds);

#endif
