/* What the two fuzzers do with a file: see whether it is accepted, and run it if it is. */
#ifndef KQ_TRY_MODEL_H
#define KQ_TRY_MODEL_H

#include "kerasq.h"

typedef enum { TRIED_REFUSED, TRIED_TOO_LARGE, TRIED_RAN } kq_tried;

/* Prepares and runs a file with portable kernels. Its bytes, the state and the arena each lie in an allocation of exactly their
 * size, so that AddressSanitizer sees any access beyond them.
 *   error      why it was refused
 *   checksums  if not NULL, takes malloc'ed CRC-32s of what each operator wrote, once it ran
 *   operators  their number */
kq_tried kq_try_model(const uint8_t *bytes, size_t size, kq_error *error, uint32_t **checksums, uint32_t *operators);

#endif
