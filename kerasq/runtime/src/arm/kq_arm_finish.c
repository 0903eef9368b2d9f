#include "kq_arm_finish.h"

enum { LEAST_SHIFT = 2, LARGEST_SHIFT = 32, LARGEST_START = 61, LARGEST_ADDEND = 60 };

static int shift_of(const kq_operator *op) { return kq_total_frac_bits(op) - op->output->frac_bits; }

/* Places by which multipliers are shifted to the left. */
static int places_of_factor(const kq_operator *op) {
  const uint32_t is_short = (1u << KQ_FIXED2 | 1u << KQ_FIXED4) >> op->input[KQ_KERNEL]->type & 1;
  return 32 - shift_of(op) - (int)(is_short * KQ_ARM_SHORT_PLACES);
}

/* Whether each |value| 2^places is below 2^limit. */
static bool all_below(const kq_tensor *vector, int places, int limit) {
  if (places < 0) return false;
  for (uint32_t i = 0; i < vector->elements; ++i) {
    const int64_t value = kq_stored(vector->type, vector->data, i);
    const uint64_t magnitude = (uint64_t)(value < 0 ? -value : value);
    if (magnitude != 0 && (limit <= places || magnitude >> (limit - places) != 0)) return false;
  }
  return true;
}

int kq_arm_bias_places(const kq_operator *op) {
  const kq_tensor *bias = op->input[KQ_BIAS];
  return bias == NULL ? 0 : 32 + op->output->frac_bits - bias->frac_bits;
}

bool kq_arm_has_plain_finish(const kq_operator *op) {
  const kq_tensor *multiplier = op->input[KQ_MULTIPLIER], *bias = op->input[KQ_BIAS];
  return (multiplier == NULL || multiplier->type == KQ_FIXED16) &&
         (bias == NULL || bias->type == KQ_FIXED16 || bias->type == KQ_FIXED32) && kq_arm_bias_places(op) <= 30;
}

bool kq_arm_can_finish(const kq_operator *op) {
  const kq_tensor *multiplier = op->input[KQ_MULTIPLIER], *bias = op->input[KQ_BIAS], *addend = op->input[KQ_ADDEND];
  const int shift = shift_of(op), left = places_of_factor(op);
  if (kq_bits(op->output->type) != 8 || op->accumulator_bits != 32 || shift < LEAST_SHIFT || shift > LARGEST_SHIFT) return false;
  if (left < 0 || (multiplier != NULL && !all_below(multiplier, left, 31))) return false;
  if (bias != NULL && !all_below(bias, kq_arm_bias_places(op), LARGEST_START)) return false;
  if (addend == NULL) return true;
  const int places = 32 + op->output->frac_bits - addend->frac_bits;
  return kq_bits(addend->type) == 8 && places >= 0 && places + 8 <= LARGEST_ADDEND;
}

static void set_channel(kq_arm_channel *channel, int32_t factor, uint64_t start) {
  channel->factor = factor;
  channel->start_low = (uint32_t)start;
  channel->start_high = (int32_t)(uint32_t)(start >> 32);
}

void kq_arm_make_channels(const kq_operator *op, uint32_t first, uint32_t count, kq_arm_channel *channels) {
  const kq_tensor *multiplier = op->input[KQ_MULTIPLIER], *bias = op->input[KQ_BIAS];
  const int left = places_of_factor(op), places = kq_arm_bias_places(op);
  const uint64_t least = ((uint64_t)(op->output->type == KQ_FIXED8 ? 128 : 0) << 32) + ((uint64_t)1 << 31);
#ifndef __OPTIMIZE_SIZE__
  if (bias != NULL && kq_arm_has_plain_finish(op)) {
    /* Most often: no call for each channel, and one multiplication in place of a shift. */
    const uint32_t size = bias->type == KQ_FIXED16 ? 2 : 4;
    static const uint8_t one[] = {1, 0};
    const uint8_t *m = multiplier == NULL ? one : multiplier->data + 2 * (size_t)first, *b = bias->data + size * (size_t)first;
    const int32_t unit = (int32_t)1 << places, step = multiplier == NULL ? 0 : 2;
    for (; count > 0; --count, ++channels, m += step, b += size) {
      const uint64_t start = least + (uint64_t)((int64_t)(size == 2 ? kq_load_s16(b) : (int32_t)kq_load_word(b)) * unit);
      set_channel(channels, (int32_t)((uint32_t)(int32_t)kq_load_s16(m) << left), start);
    }
    return;
  }
#endif
  for (; count > 0; --count, ++channels, ++first) {
    const int32_t m = multiplier == NULL ? 1 : kq_stored(multiplier->type, multiplier->data, first);
    const int32_t b = bias == NULL ? 0 : kq_stored(bias->type, bias->data, first);
    set_channel(channels, (int32_t)((uint32_t)m << left), b == 0 ? least : least + ((uint64_t)(int64_t)b << places));
  }
}

int64_t kq_arm_addend_factor(const kq_operator *op) {
  const kq_tensor *addend = op->input[KQ_ADDEND];
  return addend == NULL ? 0 : (int64_t)1 << (32 + op->output->frac_bits - addend->frac_bits);
}

void kq_arm_copy(uint8_t *to, const uint8_t *from, uint32_t count) {
  for (; count >= 4; count -= 4, to += 4, from += 4) kq_store_word(to, kq_load_word(from));
  for (; count > 0; --count) *to++ = *from++;
}

static uint32_t four_times(int32_t value) { return ((uint32_t)value & 0xFFu) * 0x01010101u; }

static uint32_t limited(uint32_t bytes, uint32_t low, uint32_t high) {
  return kq_smaller_bytes(kq_larger_bytes(bytes, low), high);
}

void kq_arm_limit(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *y = op->output;
  const uint32_t raise = kq_arm_raise(y), low = four_times(op->low.fixed) ^ raise, high = four_times(op->high.fixed) ^ raise;
  uint8_t *place = arena + y->offset;
  if (raise == 0 && low == 0 && high == UINT32_MAX) return;
  for (uint32_t words = y->elements / 4; words > 0; --words, place += 4) {
    kq_store_word(place, limited(kq_load_word(place), low, high) ^ raise);
  }
  for (uint32_t bytes = y->elements % 4; bytes > 0; --bytes, ++place) *place = (uint8_t)(limited(*place, low, high) ^ raise);
}
