/* What the two fuzzers do with a file: see whether it is accepted, and run it with every tier of kernels if it is. */
#ifndef KQ_TRY_MODEL_H
#define KQ_TRY_MODEL_H

#include <stdio.h>

#include "kerasq.h"

/* TRIED_DIFFERS: a tier refuses what the portable kernels run, or computes other integers, or writes over an output. */
typedef enum { TRIED_REFUSED, TRIED_TOO_LARGE, TRIED_RAN, TRIED_DIFFERS } kq_tried;

/* Prepares and runs a file with the kernels of each tier that runs here. Its bytes, the state and the arena each lie in an
 * allocation of exactly their size, so that AddressSanitizer sees any access beyond them.
 *   error      why it was refused, or where tiers differ
 *   checksums  if not NULL, takes malloc'ed CRC-32s of what each operator wrote with portable kernels, once it ran
 *   operators  their number
 *   tier       if not NULL, takes the name of the tier that differs */
kq_tried kq_try_model(const uint8_t *bytes, size_t size, kq_error *error, uint32_t **checksums, uint32_t *operators,
                      const char **tier);

/* How often each kernel ran so far: a line "kernel TIER NAME TIMES" for each kernel of each tier. */
void kq_print_kernels(FILE *stream);

#endif
