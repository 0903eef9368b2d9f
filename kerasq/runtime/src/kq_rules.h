/* What C has of each kind of operator to check kerasq/ops by: its rules and bounds, written once more. Its operands, attributes
 * and limits are data that both share: kq_operators.h. */
#ifndef KQ_RULES_H
#define KQ_RULES_H

#include "kq_verify.h"
#include "kq_weighted.h"

/* One kind. Formats of activations, a batch axis of 1, and defaults of unused attributes are certain since the file was loaded;
 * kq_check_operator makes sure that the inputs are those of the signature. */
typedef struct {
  /* Whether operands and attributes fit each other, and the output has the shape that they give. Sets a convolution's window. */
  kq_status (*check)(kq_operator *op);

  /* Whether an operator with nothing but fixed inputs computes in integers; NULL: it does. */
  bool (*is_integer)(const kq_operator *op);

  /* How large intermediate results of an operator in integers can become (NUMERICS.md section 3); NULL of a weighted operator,
   * which kq_proof.c proves channel by channel. */
  uint64_t (*bound)(const kq_operator *op);

  /* Multiply-accumulates, absent taps included; NULL: none. */
  uint64_t (*macs)(const kq_operator *op);
} kq_rules;

/* The row of a kind. */
const kq_rules *kq_rules_of(uint8_t kind);

#define KQ_DECLARE_RULES(KIND, kind) extern const kq_rules kq_##kind##_rules;
KQ_EACH_KIND(KQ_DECLARE_RULES)

/* ---- What several kinds have in common ---- */

/* Distance of two numbers of fractional bits. */
static inline int kq_distance(int a, int b) { return a < b ? b - a : a - b; }

/* The zero is 0, or in the range of an unsigned first input of an operator in integers: then every bound holds as it is. */
bool kq_check_zero(const kq_operator *op);

/* KQ_BAD_OUTPUT unless the output has the first input's shape. */
kq_status kq_check_same_shape(kq_operator *op);

/* kq_window_rules.c: whether the window fits the input, which has 4 axes, and the output has its shape with so many channels. */
kq_status kq_check_window(const kq_operator *op, uint32_t channels);

/* kq_weighted_rules.c: multiplier, bias and addend fit; A and T of NUMERICS.md section 3 where the magnitudes of an output
 * channel's weights have the sum `weights`; multiply-accumulates. */
kq_status kq_check_vectors(const kq_operator *op);
uint64_t kq_accumulator_bound(const kq_operator *op, uint64_t weights);
uint64_t kq_total_bound(const kq_operator *op, uint32_t channel, uint64_t weights);
uint64_t kq_weighted_macs(const kq_operator *op);

/* What requantizing from so many fractional bits adds before it shifts: 2^(s-1), or 0 where nothing is rounded. */
uint64_t kq_rounding_half(int frac_bits, const kq_tensor *y);

/* max|x| of the first input: values are only moved and compared. */
uint64_t kq_moved_bound(const kq_operator *op);

/* max|x| and the rounding half from its fractional bits to the output's. */
uint64_t kq_requantized_bound(const kq_operator *op, const kq_tensor *x);

#endif
