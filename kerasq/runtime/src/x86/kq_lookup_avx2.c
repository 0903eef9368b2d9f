/* LOOKUP for AVX2: 32 bytes at a time in sixteen pieces of the table; words for bytes, one by one; or 8 words at a time between
 * two knots. */
#include "kq_simd.h"

enum { LOW_BITS = 7, KNOTS = KQ_LOOKUP_ENTRIES_16, ENTRIES = KQ_LOOKUP_ENTRIES_8, PIECES = ENTRIES / 16 };

/* ---- 8 bits ---- */

/* The table, which has the output's format, in the order of stored bytes, limited: entry number b is for the byte b. */
static void by_byte(const kq_operator *op, uint8_t *entries) {
  const uint8_t *table = op->input[KQ_LOOKUP_TABLE]->data, type = op->output->type;
  const uint32_t bytes = kq_value_bytes(type), flip = op->input[KQ_LOOKUP_INPUT]->type == KQ_FIXED8 ? 0x80 * bytes : 0;
  const __m256i low = kq_all_lanes(type, op->low.fixed), high = kq_all_lanes(type, op->high.fixed);
  for (uint32_t place = 0; place < ENTRIES * bytes; place += 32) {
    const __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(table + (place ^ flip)));
    _mm256_storeu_si256((__m256i *)(void *)(entries + place), kq_smaller(type, kq_larger(type, y, low), high));
  }
}

/* Outputs of 16 bits. */
static void run_to_words(const kq_operator *op, uint8_t *arena) {
  const uint8_t *x = kq_input_data(op, KQ_LOOKUP_INPUT, arena);
  uint8_t *y = kq_output_data(op, arena);
  uint16_t entries[ENTRIES];
  by_byte(op, (uint8_t *)entries);
  for (uint32_t i = 0; i < op->output->elements; ++i) memcpy(y + 2 * (size_t)i, &entries[x[i]], 2);
}

/* vpshufb looks up low nibbles, or gives 0 where the byte's highest bit is set: of x - 16 k + 0x70, saturated, it is set unless x
 * is one of the 16 bytes of piece k. */
KQ_INLINE __m256i look_up_32(const __m256i pieces[PIECES], __m256i x) {
  const __m256i beyond = _mm256_set1_epi8(0x70), sixteen = _mm256_set1_epi8(16);
  __m256i y = _mm256_setzero_si256();
  for (int k = 0; k < PIECES; ++k) {
    y = _mm256_or_si256(y, _mm256_shuffle_epi8(pieces[k], _mm256_adds_epu8(x, beyond)));
    x = _mm256_sub_epi8(x, sixteen);
  }
  return y;
}

static void run_bytes(const kq_operator *op, uint8_t *arena) {
  if (kq_value_bytes(op->output->type) == 2) {
    run_to_words(op, arena);
    return;
  }
  const uint8_t *x = kq_input_data(op, KQ_LOOKUP_INPUT, arena);
  uint8_t *y = kq_output_data(op, arena), entries[ENTRIES];
  const uint32_t count = op->output->elements;
  uint32_t i = 0;
  by_byte(op, entries);
  if (count >= ENTRIES) {
    __m256i pieces[PIECES];
    for (int k = 0; k < PIECES; ++k) {
      pieces[k] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(entries + 16 * k)));
    }
    for (; i + 32 <= count; i += 32) {
      const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(x + i));
      _mm256_storeu_si256((__m256i *)(void *)(y + i), look_up_32(pieces, v));
    }
  }
  for (; i < count; ++i) y[i] = entries[x[i]];
}

static bool accepts_bytes(const kq_operator *op) { return kq_value_bytes(op->input[KQ_LOOKUP_INPUT]->type) == 1; }

/* ---- 16 bits ---- */

/* y = below + floor(((above - below) low + 2^6) / 2^7) of 8 values. A gathered word of 32 bits holds both knots. */
KQ_INLINE __m256i between_knots(const uint8_t *table, bool is_signed, __m256i place) {
  const __m256i knots = _mm256_i32gather_epi32((const int *)(const void *)table, _mm256_srli_epi32(place, LOW_BITS), 2);
  const __m256i low = _mm256_and_si256(place, _mm256_set1_epi32((1 << LOW_BITS) - 1)), left = _mm256_slli_epi32(knots, 16);
  const __m256i below = is_signed ? _mm256_srai_epi32(left, 16) : _mm256_srli_epi32(left, 16);
  const __m256i above = is_signed ? _mm256_srai_epi32(knots, 16) : _mm256_srli_epi32(knots, 16);
  const __m256i part = _mm256_mullo_epi32(_mm256_sub_epi32(above, below), low);
  return _mm256_add_epi32(below, _mm256_srai_epi32(_mm256_add_epi32(part, _mm256_set1_epi32(1 << (LOW_BITS - 1))), LOW_BITS));
}

KQ_INLINE void look_up_16(const kq_operator *op, kq_range range, const uint8_t *knots, const uint8_t *x, size_t i, uint8_t *to) {
  const uint8_t type = op->input[KQ_LOOKUP_INPUT]->type, table = op->input[KQ_LOOKUP_TABLE]->type;
  const bool is_signed = table == KQ_FIXED16 || table == KQ_FIXED8;
  const __m256i first = _mm256_set1_epi32(kq_min_int(type));
  __m256i v[2];
  kq_load_16(type, x, i, v);
  for (int h = 0; h < 2; ++h) v[h] = between_knots(knots, is_signed, _mm256_sub_epi32(v[h], first));
  kq_store_16(range, to, v[0], v[1]);
}

/* Knots of 8 bits are made 16 first. */
static void run_words(const kq_operator *op, uint8_t *arena) {
  const kq_tensor *table = op->input[KQ_LOOKUP_TABLE];
  const kq_reader read = kq_reader_of(table->type);
  const uint32_t count = op->output->elements, y_bytes = kq_value_bytes(op->output->type);
  const kq_range range = kq_range_of(op);
  const uint8_t *x = kq_input_data(op, KQ_LOOKUP_INPUT, arena), *knots = table->data;
  uint8_t *y = kq_output_data(op, arena), wider[2 * KNOTS], rest[32] = {0}, result[32];
  uint32_t i = 0;
  if (kq_value_bytes(table->type) == 1) {
    for (uint32_t k = 0; k < KNOTS; ++k) kq_store_16_bits(wider + 2 * k, read(table->data, k));
    knots = wider;
  }
  for (; i + 16 <= count; i += 16) look_up_16(op, range, knots, x, i, y + (size_t)i * y_bytes);
  if (i == count) return;
  memcpy(rest, x + 2 * (size_t)i, 2 * (size_t)(count - i));
  look_up_16(op, range, knots, rest, 0, result);
  memcpy(y + (size_t)i * y_bytes, result, (size_t)(count - i) * y_bytes);
}

static bool accepts_words(const kq_operator *op) {
  const uint8_t table = op->input[KQ_LOOKUP_TABLE]->type;
  return kq_value_bytes(op->input[KQ_LOOKUP_INPUT]->type) == 2 && (kq_bits(table) == 8 || kq_bits(table) == 16);
}

const kq_kernel kq_lookup_bytes_avx2 = {
    .name = "kq_lookup_bytes_avx2",
    .kind = KQ_LOOKUP,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = accepts_bytes,
    .run = run_bytes,
};
const kq_kernel kq_lookup_words_avx2 = {
    .name = "kq_lookup_words_avx2",
    .kind = KQ_LOOKUP,
    .input_type = KQ_ANY,
    .weight_type = KQ_ANY,
    .accumulator_bits = KQ_ANY_BITS,
    .accepts = accepts_words,
    .run = run_words,
};
