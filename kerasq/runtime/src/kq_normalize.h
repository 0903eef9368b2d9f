/* NORMALIZE: which values are normalized together, and what both languages add to their squares. */
#ifndef KQ_NORMALIZE_H
#define KQ_NORMALIZE_H

#include "kq_arithmetic.h"

/* A run: `pixels` times `channels` values, `step` values from pixel to pixel; values of all pixels that follow each other are one
 * pixel's. There are `count` of them, of `groups` groups side by side. */
typedef struct {
  uint32_t pixels, channels, step, groups, count;
} kq_runs;

static inline kq_runs kq_runs_of(const kq_operator *op) {
  const kq_tensor *x = op->input[KQ_NORMALIZE_INPUT];
  const uint32_t pixels = (uint32_t)op->window[0] * op->window[1], channels = x->shape[x->rank - 1], groups = op->groups;
  const kq_runs several = {pixels, channels / groups, channels, groups, pixels * (channels / groups)};
  const kq_runs one = {1, pixels * channels, pixels * channels, 1, pixels * channels};
  return groups == 1 ? one : several;
}

/* E = floor(e n^2 2^(2 n_x - n_e) + 1/2), the epsilon e times n^2 in units of a stored 1 squared: e n^2 2^-places, where the proof
 * holds. e has 15 bits and n at most 21. */
static inline int kq_epsilon_places(const kq_operator *op) {
  return op->input[KQ_NORMALIZE_EPSILON]->frac_bits - 2 * op->input[KQ_NORMALIZE_INPUT]->frac_bits;
}

static inline uint64_t kq_epsilon_product(const kq_operator *op, uint32_t values) {
  return (uint64_t)kq_u16(op->input[KQ_NORMALIZE_EPSILON]->data) * values * values;
}

/* That of the product. It may be shifted left as far as the proof allows; a product of 0 by more than 64 bits have. */
static inline uint64_t kq_scaled_epsilon(uint64_t product, int places) {
  if (product == 0 || places > 62) return 0;
  return places <= 0 ? product << -places : (product + ((uint64_t)1 << (places - 1))) >> places;
}

#endif
