/* Which steps of vpmaddubsw can share a widening.
 *
 * A step's products come as sums of two in 16 bits, and widening them to 32 takes a second multiplication (vpmaddwd by ones).
 * Two steps whose 16-bit sums can be added before, whatever the inputs, share it: three multiplications do the work of four. As
 * the weights are constants it is known which: in each of the 32 lanes, the positive weights of both steps must not exceed 128
 * together, and the negative ones -128 (inputs are not negative). Steps may be taken in any order, so that those with large weights find partners with small ones: the larger of a pair takes
 * the largest partner that fits. Of a float-trained 8-bit network, 70 to 90 % of the steps find one. Steps that are wide (kq_gemm.h)
 * are moved behind all others before. */
#include "kq_gemm.h"

enum { SEGMENT = 512, PAIRS = 2 * KQ_LANES };

/* Some steps, and of every pair of weights the sum of the positive ones and that of the others' magnitudes. */
typedef struct {
  uint32_t count;
  uint8_t sum[SEGMENT][2 * PAIRS];
  uint8_t largest[SEGMENT];
  uint16_t by_size[SEGMENT]; /* steps, the largest sum first */
  uint16_t order[SEGMENT];   /* steps as they are to be computed */
  bool taken[SEGMENT];
} segment;

static void read_sums(segment *s, const uint8_t *weights, uint32_t count) {
  s->count = count;
  for (uint32_t step = 0; step < count; ++step) {
    s->largest[step] = 0;
    s->taken[step] = false;
    for (uint32_t pair = 0; pair < PAIRS; ++pair, weights += 2) {
      const kq_signed_sums sums = kq_signed_sums_of(weights, 2);
      s->sum[step][2 * pair] = (uint8_t)sums.positive;
      s->sum[step][2 * pair + 1] = (uint8_t)sums.negative;
      if (kq_larger_of(sums) > s->largest[step]) s->largest[step] = (uint8_t)kq_larger_of(sums);
    }
  }
}

/* Counting sort by the largest sum, which is at most KQ_LARGEST_PAIR. */
static void sort_by_size(segment *s) {
  uint32_t next = 0;
  for (int size = KQ_LARGEST_PAIR; size >= 0; --size) {
    for (uint32_t step = 0; step < s->count; ++step) {
      if (s->largest[step] == size) s->by_size[next++] = (uint16_t)step;
    }
  }
}

static bool fit(const segment *s, uint32_t a, uint32_t b) {
  for (uint32_t i = 0; i < 2 * PAIRS; ++i) {
    if (s->sum[a][i] + s->sum[b][i] > KQ_LARGEST_PAIR) return false;
  }
  return true;
}

/* The free step with the largest sum that fits beside `step`, among those after position `from` of by_size; count where none
 * does. */
static uint32_t partner(const segment *s, uint32_t step, uint32_t from) {
  for (uint32_t i = from; i < s->count; ++i) {
    if (!s->taken[s->by_size[i]] && fit(s, step, s->by_size[i])) return s->by_size[i];
  }
  return s->count;
}

/* Fills `order` with the pairs, then the others; returns the number of pairs. */
static uint32_t match(segment *s) {
  uint32_t pairs = 0, alone = s->count;
  for (uint32_t i = 0; i < s->count; ++i) {
    const uint16_t step = s->by_size[i];
    if (s->taken[step]) continue;
    s->taken[step] = true;
    const uint32_t other = partner(s, step, i + 1);
    if (other == s->count) {
      s->order[--alone] = step;
      continue;
    }
    s->taken[other] = true;
    s->order[2 * pairs] = step;
    s->order[2 * pairs + 1] = (uint16_t)other;
    ++pairs;
  }
  return pairs;
}

/* Steps in the order of `order`. */
static void reorder(const segment *s, int32_t *place, uint8_t *weights) {
  int32_t old_place[SEGMENT];
  uint8_t old_weights[SEGMENT * KQ_STEP_BYTES];
  memcpy(old_place, place, s->count * sizeof *place);
  memcpy(old_weights, weights, (size_t)s->count * KQ_STEP_BYTES);
  for (uint32_t i = 0; i < s->count; ++i) {
    place[i] = old_place[s->order[i]];
    memcpy(weights + (size_t)i * KQ_STEP_BYTES, old_weights + (size_t)s->order[i] * KQ_STEP_BYTES, KQ_STEP_BYTES);
  }
}

static void swap_steps(int32_t *place, uint8_t *weights, uint32_t a, uint32_t b) {
  uint8_t kept[KQ_STEP_BYTES];
  const int32_t kept_place = place[a];
  memcpy(kept, weights + (size_t)a * KQ_STEP_BYTES, KQ_STEP_BYTES);
  memcpy(weights + (size_t)a * KQ_STEP_BYTES, weights + (size_t)b * KQ_STEP_BYTES, KQ_STEP_BYTES);
  memcpy(weights + (size_t)b * KQ_STEP_BYTES, kept, KQ_STEP_BYTES);
  place[a] = place[b];
  place[b] = kept_place;
}

/* Moves the unpaired steps [begin, end) behind the steps up to `last`; their order among themselves does not matter. */
static void rotate(int32_t *place, uint8_t *weights, uint32_t begin, uint32_t end, uint32_t last) {
  for (uint32_t i = begin, j = end; j < last; ++i, ++j) swap_steps(place, weights, i, j);
}

bool kq_is_wide_step(const uint8_t *weights) {
  for (uint32_t pair = 0; pair < PAIRS; ++pair, weights += 2) {
    if (kq_larger_of(kq_signed_sums_of(weights, 2)) > KQ_LARGEST_PAIR) return true;
  }
  return false;
}

/* Where weight number k of channel l is among those of 8 channels: as the others are; with even numbers first; with the first two
 * first. */
static uint32_t natural_place(uint32_t l, uint32_t k) { return 4 * l + k; }
static uint32_t parted_place(uint32_t l, uint32_t k) { return k % 2 * 16 + 2 * l + k / 2; }
static uint32_t doubled_place(uint32_t l, uint32_t k) { return k / 2 * 16 + 2 * l + k % 2; }

static void rearrange(uint8_t *weights, uint32_t (*from)(uint32_t, uint32_t), uint32_t (*to)(uint32_t, uint32_t)) {
  for (int half = 0; half < 2; ++half, weights += KQ_STEP_BYTES / 2) {
    uint8_t kept[KQ_STEP_BYTES / 2];
    memcpy(kept, weights, sizeof kept);
    for (uint32_t i = 0; i < sizeof kept; ++i) weights[to(i / 4, i % 4)] = kept[from(i / 4, i % 4)];
  }
}

/* Moves wide steps to the end; returns how many there are. */
static uint32_t part_wide(int32_t *place, uint8_t *weights, uint32_t steps) {
  uint32_t narrow = steps;
  for (uint32_t step = 0; step < narrow;) {
    if (!kq_is_wide_step(weights + (size_t)step * KQ_STEP_BYTES)) {
      ++step;
      continue;
    }
    swap_steps(place, weights, step, --narrow);
    rearrange(weights + (size_t)narrow * KQ_STEP_BYTES, natural_place, parted_place);
  }
  return steps - narrow;
}

void kq_gemm_pair_steps(int32_t *place, uint8_t *weights, kq_block *block) {
  segment s;
  uint32_t pairs = 0;
  block->wide = part_wide(place, weights, block->steps);
  const uint32_t steps = block->steps - block->wide;
  for (uint32_t begin = 0; begin < steps; begin += SEGMENT) {
    const uint32_t left = steps - begin;
    read_sums(&s, weights + (size_t)begin * KQ_STEP_BYTES, left < SEGMENT ? left : SEGMENT);
    sort_by_size(&s);
    const uint32_t matched = match(&s);
    reorder(&s, place + begin, weights + (size_t)begin * KQ_STEP_BYTES);
    rotate(place, weights, 2 * pairs, begin, begin + 2 * matched);
    pairs += matched;
  }
  block->pairs = pairs;
}

uint64_t kq_gemm_cost(const kq_block *block) {
  const uint64_t steps = block->steps, pairs = block->pairs, wide = block->wide;
  return block->chunk >= KQ_MIN_CHUNK ? 40 * steps : 100 * pairs + 60 * (steps - 2 * pairs - wide) + 110 * wide;
}

uint64_t kq_gemm_doubled_cost(const kq_block *block) { return (uint64_t)90 * block->steps; }

void kq_gemm_double_steps(uint8_t *weights, const kq_block *block) {
  for (uint32_t step = 0; step < block->steps; ++step, weights += KQ_STEP_BYTES) {
    rearrange(weights, step < block->steps - block->wide ? natural_place : parted_place, doubled_place);
  }
}
