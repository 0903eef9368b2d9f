/* The parts of kq_verify. */
#ifndef KQ_VERIFY_H
#define KQ_VERIFY_H

#include "kq_internal.h"

/* kq_names.c: whether no two tensors have the same name. Uses `first` of the tensors as memory. */
kq_status kq_check_names(kq_network *network, kq_error *error);

/* kq_links.c: whether everything is written once, before it is read, and used. Sets first and last of the activations. */
kq_status kq_check_links(kq_network *network, kq_error *error);

/* kq_rules.c: whether an operator's operands, attributes and output fit each other (kq_rules.h). Sets is_integer, the limits that
 * no clamp set, and a convolution's window. */
kq_status kq_check_operator(kq_operator *op);

/* kq_proof.c: the accumulator proof of NUMERICS.md section 3, repeated for all operators; kq_check_operator accepted each. Uses
 * `first` and `last` of the constants, and `packed` of the operators, as memory. */
kq_status kq_prove_widths(kq_network *network, kq_error *error);

/* kq_bounds.c: arithmetic of the proof, which stops at 2^63. */
#define KQ_TOO_LARGE ((uint64_t)1 << 63)
uint64_t kq_bound_sum(uint64_t a, uint64_t b);
uint64_t kq_bound_product(uint64_t a, uint32_t b);
uint64_t kq_bound_shifted(uint64_t a, int places);

/* kq_plan.c: whether no two activations that are in use at the same time overlap in the arena. Sets scratch of the operators to
 * where what is in use during each of them ends. */
kq_status kq_check_plan(kq_network *network, kq_error *error);

/* kq_overlap.c: whether the output lies so far below an input of the operator that it may overlap it, if nobody needs that input
 * afterwards. Neither `first` nor `elements` of the tensors is looked at. */
bool kq_may_overlap(const kq_operator *op, const kq_tensor *x);

/* Whether tensor a comes before tensor b. */
typedef bool (*kq_order)(const kq_tensor *a, const kq_tensor *b);

/* kq_sort.c: sorts the indices of tensors that are in `first` of tensors[0] to tensors[count - 1]. */
void kq_sort(kq_tensor *tensors, uint32_t count, kq_order before);

static inline bool kq_is_activation(const kq_tensor *tensor) { return tensor != NULL && tensor->data == NULL; }

#endif
