/* kq_native_peak of each tier: chains of multiplications that wait for nothing but themselves. So many fill two pipelines of up to
 * six stages; processors have three to five. */
#ifndef KQ_PEAK_H
#define KQ_PEAK_H

#include <stdint.h>

#define KQ_CHAINS 12
#define KQ_EACH_CHAIN(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

uint64_t kq_peak_avx2(uint32_t rounds);
uint64_t kq_peak_avx512(uint32_t rounds);

#endif
