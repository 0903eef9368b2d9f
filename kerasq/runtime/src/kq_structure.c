/* From untrusted bytes to tables: the structural rules of a .kq file, numbered as in kerasq/format/structure.py, which states
 * them.
 *
 * One walk over the file checks every number before it is used as a position. Whatever reads the file after it needs no
 * checks. */
#include "kq_fields.h"

/* The schema: how each field of a table is stored. */
enum { NUMBER, STRING, BYTES, NUMBERS, TABLE, TABLES, STRINGS };
enum { TENSOR, WINDOW, CLAMP, OPERATOR, METADATA, TEST, MODEL };

typedef struct {
  uint8_t storage;
  uint8_t what;        /* size of a NUMBER; what a TABLE or TABLES is */
  uint8_t limit_power; /* NUMBERS, TABLES and STRINGS have at most 2^limit_power elements */
} field_type;

#define U8 {.storage = NUMBER, .what = 1}
#define U16 {.storage = NUMBER, .what = 2}
#define U32 {.storage = NUMBER, .what = 4}
#define TEXT {.storage = STRING}
#define RAW {.storage = BYTES}
#define NUMBERS_UP_TO(power) {.storage = NUMBERS, .limit_power = power}
#define INDICES NUMBERS_UP_TO(16)
#define ONE(table) {.storage = TABLE, .what = table}
#define MANY(table, power) {.storage = TABLES, .what = table, .limit_power = power}
#define TEXTS_UP_TO(power) {.storage = STRINGS, .limit_power = power}

static const field_type tensor_fields[TENSOR_SLOTS] = {
    [TENSOR_NAME] = TEXT, [TENSOR_SHAPE] = NUMBERS_UP_TO(2), [TENSOR_TYPE] = U8, [TENSOR_FRAC_BITS] = U8, [TENSOR_DATA] = RAW,
    [TENSOR_OFFSET] = U32, [TENSOR_LAYOUT] = U8};
static const field_type window_fields[WINDOW_SLOTS] = {
    [WINDOW_SIZE] = U16, U16, [WINDOW_STRIDES] = U16, U16, [WINDOW_DILATIONS] = U16, U16, [WINDOW_PADDING] = U16, U16, U16, U16,
    [WINDOW_GROUPS] = U16, [WINDOW_CENTERED] = U16, [WINDOW_ZERO] = U16};
static const field_type clamp_fields[CLAMP_SLOTS] = {[CLAMP_FIXED] = U32, U32, [CLAMP_FLOAT] = U32, U32};
static const field_type operator_fields[OPERATOR_SLOTS] = {
    [OPERATOR_KIND] = U8, [OPERATOR_INPUTS] = INDICES, [OPERATOR_OUTPUTS] = INDICES, [OPERATOR_WINDOW] = ONE(WINDOW),
    [OPERATOR_CLAMP] = ONE(CLAMP), [OPERATOR_ACCUMULATOR_BITS] = U8, [OPERATOR_TOTAL_BITS] = U8,
    [OPERATOR_SCRATCH_OFFSET] = U32, [OPERATOR_SCRATCH_BYTES] = U32};
static const field_type metadata_fields[METADATA_SLOTS] = {[METADATA_KEY] = TEXT, [METADATA_VALUE] = TEXT};
static const field_type test_fields[TEST_SLOTS] = {[TEST_INPUT] = RAW, [TEST_CHECKSUMS] = NUMBERS_UP_TO(16)};
static const field_type model_fields[MODEL_SLOTS] = {
    [MODEL_FORMAT_VERSION] = U32, [MODEL_TENSORS] = MANY(TENSOR, 16), [MODEL_OPERATORS] = MANY(OPERATOR, 16),
    [MODEL_INPUTS] = INDICES, [MODEL_OUTPUTS] = INDICES, [MODEL_ARENA_BYTES] = U32, [MODEL_ARENA_ALIGNMENT] = U32,
    [MODEL_METADATA] = MANY(METADATA, 8), [MODEL_TEST] = ONE(TEST), [MODEL_INPUT_NAMES] = TEXTS_UP_TO(8),
    [MODEL_OUTPUT_NAMES] = TEXTS_UP_TO(8)};

static const struct {
  const field_type *fields;
  uint32_t slots;
} schema[] = {
    [TENSOR] = {.fields = tensor_fields, .slots = TENSOR_SLOTS},
    [WINDOW] = {.fields = window_fields, .slots = WINDOW_SLOTS},
    [CLAMP] = {.fields = clamp_fields, .slots = CLAMP_SLOTS},
    [OPERATOR] = {.fields = operator_fields, .slots = OPERATOR_SLOTS},
    [METADATA] = {.fields = metadata_fields, .slots = METADATA_SLOTS},
    [TEST] = {.fields = test_fields, .slots = TEST_SLOTS},
    [MODEL] = {.fields = model_fields, .slots = MODEL_SLOTS}};

typedef struct {
  const uint8_t *bytes;
  uint32_t size;
  uint64_t budget; /* rule 7: bytes that may still be visited */
  int32_t operator_index, tensor_index; /* where the walk is */
} walk;

/* Rule 7. */
static bool visit(walk *w, uint32_t bytes) {
  if (bytes > w->budget) return false;
  w->budget -= bytes;
  return true;
}

/* Rule 2: the target of the reference at a position; 0, which no reference can lead to, where it is bad. */
static uint32_t reference(const walk *w, uint32_t position) {
  const uint32_t distance = kq_u32(w->bytes + position);
  if (distance == 0 || distance > w->size - 4 - position || (position + distance) % 4 != 0) return 0;
  return position + distance;
}

/* Rule 6: UTF-8 as in RFC 3629. A zero byte follows the text, so that a character that is cut off ends there. */
static bool is_text(const uint8_t *p, const uint8_t *end) {
  while (p < end) {
    const uint32_t lead = *p++;
    if (lead == 0) return false;
    if (lead < 0x80) continue;
    if (lead < 0xC2 || lead > 0xF4) return false;
    const uint32_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    uint32_t code = lead & (0x3Fu >> more);
    for (uint32_t i = 0; i < more; ++i, ++p) {
      if ((*p & 0xC0) != 0x80) return false;
      code = code << 6 | (*p & 0x3Fu);
    }
    /* Three bytes are for codes from 2^11, four for codes from 2^16; the first lead byte of two, 0xC2, is right by itself. */
    if (code >> (5 * more + 1) == 0 || code > 0x10FFFF || code >> 11 == 0xD800 >> 11) return false;
  }
  return true;
}

static kq_status walk_table(walk *w, uint32_t what, uint32_t start);

/* Rules 5 and 6 for a string at its target; false also for target 0. */
static bool walk_string(walk *w, uint32_t target) {
  const uint32_t start = target + 4, count = target == 0 ? 0 : kq_u32(w->bytes + target);
  if (target == 0 || count > w->size - start || !visit(w, 4 + count)) return false;
  const uint8_t *end = w->bytes + start + count;
  return start + count != w->size && *end == 0 && visit(w, 1) && is_text(w->bytes + start, end);
}

/* Rules 5 and 6; recursion ends after three tables, as deep as the schema is. */
static kq_status walk_field(walk *w, const field_type *field, uint32_t position) {
  const uint32_t target = reference(w, position), start = target + 4;
  const uint32_t size = field->storage == BYTES ? 1 : 4;
  if (target == 0) return KQ_DAMAGED;
  if (field->storage == TABLE) return walk_table(w, field->what, target);
  if (field->storage == STRING) return walk_string(w, target) ? KQ_OK : KQ_DAMAGED;
  const uint32_t count = kq_u32(w->bytes + target);
  if (count > (w->size - start) / size) return KQ_DAMAGED;
  if (size == 4 && count > 1u << field->limit_power) return KQ_BAD_COUNT;
  if (!visit(w, 4 + size * count)) return KQ_DAMAGED;
  for (uint32_t i = 0; field->storage == STRINGS && i < count; ++i) {
    if (!walk_string(w, reference(w, start + 4 * i))) return KQ_DAMAGED;
  }
  if (field->storage != TABLES) return KQ_OK;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t element = reference(w, start + 4 * i);
    w->tensor_index = field->what == TENSOR ? (int32_t)i : -1;
    w->operator_index = field->what == OPERATOR ? (int32_t)i : -1;
    const kq_status status = element == 0 ? KQ_DAMAGED : walk_table(w, field->what, element);
    if (status != KQ_OK) return status;
  }
  w->tensor_index = w->operator_index = -1;
  return KQ_OK;
}

/* Rules 3 and 4. */
static kq_status walk_table(walk *w, uint32_t what, uint32_t start) {
  /* Modulo 2^32: a distance that leads before the file gives a position far behind it, as a file has at most 2^30 bytes. */
  const uint32_t vtable = start - kq_u32(w->bytes + start);
  if (vtable > w->size - 4 || vtable % 2 != 0) return KQ_DAMAGED;
  const uint32_t vtable_size = kq_u16(w->bytes + vtable);
  const uint32_t table_size = kq_u16(w->bytes + vtable + 2);
  if (vtable_size < 4 || vtable_size % 2 != 0 || vtable_size > w->size - vtable) return KQ_DAMAGED;
  if (table_size < 4 || table_size > w->size - start || !visit(w, table_size)) return KQ_DAMAGED;
  for (uint32_t slot = 0; slot < schema[what].slots && 6 + 2 * slot <= vtable_size; ++slot) {
    const field_type *field = &schema[what].fields[slot];
    const uint32_t offset = kq_u16(w->bytes + vtable + 4 + 2 * slot);
    const uint32_t size = field->storage == NUMBER ? field->what : 4;
    if (offset == 0) continue;
    if (offset < 4 || offset + size > table_size || (start + offset) % size != 0) return KQ_DAMAGED;
    if (field->storage != NUMBER) {
      const kq_status status = walk_field(w, field, start + offset);
      if (status != KQ_OK) return status;
    }
  }
  return KQ_OK;
}

const uint8_t *kq_field(const uint8_t *table, uint32_t slot) {
  const uint8_t *vtable = table - kq_i32(table);
  const uint32_t offset = 6 + 2 * slot <= kq_u16(vtable) ? kq_u16(vtable + 4 + 2 * slot) : 0;
  return offset == 0 ? NULL : table + offset;
}

uint32_t kq_number(const uint8_t *table, uint32_t slot, uint32_t size, uint32_t absent) {
  const uint8_t *field = kq_field(table, slot);
  uint32_t value = 0;
  if (field == NULL) return absent;
  while (size-- > 0) value = value << 8 | field[size];
  return value;
}

kq_vector kq_vector_field(const uint8_t *table, uint32_t slot) {
  const uint8_t *field = kq_field(table, slot);
  kq_vector vector = {.elements = table, .count = 0};
  if (field != NULL) {
    vector.elements = kq_follow(field) + 4;
    vector.count = kq_u32(vector.elements - 4);
  }
  return vector;
}

/* What the table Model says of the whole network. */
static void read_model(const uint8_t *model, kq_network *network, kq_tables *tables) {
  const kq_vector tensors = kq_vector_field(model, MODEL_TENSORS), operators = kq_vector_field(model, MODEL_OPERATORS);
  const kq_vector inputs = kq_vector_field(model, MODEL_INPUTS), outputs = kq_vector_field(model, MODEL_OUTPUTS);
  const kq_vector metadata = kq_vector_field(model, MODEL_METADATA);
  const uint8_t *test = kq_field(model, MODEL_TEST);
  tables->bytes = network->model;
  tables->tensors = (uint32_t)(tensors.elements - network->model);
  tables->operators = (uint32_t)(operators.elements - network->model);
  tables->metadata = (uint32_t)(metadata.elements - network->model);
  tables->metadata_count = metadata.count;
  tables->version = kq_number(model, MODEL_FORMAT_VERSION, 4, 0);
  network->tensor_count = tensors.count;
  network->operator_count = operators.count;
  network->inputs = inputs.elements;
  network->input_count = inputs.count;
  network->outputs = outputs.elements;
  network->output_count = outputs.count;
  network->planned_bytes = kq_number(model, MODEL_ARENA_BYTES, 4, 0);
  network->arena_alignment = kq_number(model, MODEL_ARENA_ALIGNMENT, 4, 0);
  network->test_input = network->test_checksums = NULL;
  network->test_input_bytes = network->test_checksum_count = 0;
  if (test != NULL) {
    const kq_vector input = kq_vector_field(kq_follow(test), TEST_INPUT);
    const kq_vector checksums = kq_vector_field(kq_follow(test), TEST_CHECKSUMS);
    network->test_input = input.elements;
    network->test_input_bytes = input.count;
    network->test_checksums = checksums.elements;
    network->test_checksum_count = checksums.count;
  }
}

kq_status kq_read_structure(const uint8_t *bytes, size_t size, kq_network *network, kq_tables *tables, kq_error *error) {
  if (bytes == NULL || size < 8 || size > KQ_MAX_FILE_BYTES) return kq_fail(error, KQ_NOT_A_MODEL, -1, -1);
  if ((uintptr_t)bytes % 4 != 0) return kq_fail(error, KQ_MISALIGNED, -1, -1);
  if (memcmp(bytes + 4, "KRSQ", 4) != 0) return kq_fail(error, KQ_NOT_A_MODEL, -1, -1);
  walk w = {
      .bytes = bytes,
      .size = (uint32_t)size,
      .budget = (uint64_t)KQ_MAX_REUSE * size,
      .operator_index = -1,
      .tensor_index = -1,
  };
  const uint32_t root = reference(&w, 0);
  const kq_status status = root == 0 ? KQ_DAMAGED : walk_table(&w, MODEL, root);
  if (status != KQ_OK) return kq_fail(error, status, w.operator_index, w.tensor_index);
  network->model = bytes;
  network->model_bytes = w.size;
  read_model(bytes + root, network, tables);
  return KQ_OK;
}
