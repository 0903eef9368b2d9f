/* From sound tables to tensors and operators: what the numbers in the file mean, and whether they mean anything.
 *
 * Everything about a tensor by itself is judged here, as in kerasq/format/reader.py and, up to a tensor's place in the arena,
 * verifier.py. How tensors and operators fit together is left to kq_verify, which also sets a tensor's first and last and an
 * operator's is_integer, limits without a clamp, and window of a convolution; kernel, packed and scratch are kq_prepare's. */
#include "kq_fields.h"

/* A signed 32-bit number, or the bits of a float; 0 where it is absent. */
static int32_t signed_number(const uint8_t *table, uint32_t slot) {
  const uint8_t *field = kq_field(table, slot);
  return field == NULL ? 0 : kq_i32(field);
}

static bool load_format(kq_tensor *tensor, const uint8_t *table) {
  const uint32_t type = kq_number(table, TENSOR_TYPE, 1, 0), byte = kq_number(table, TENSOR_FRAC_BITS, 1, 0);
  const int frac_bits = (int)byte - (byte < 128 ? 0 : 256);
  if (type >= KQ_TYPES) return false;
  tensor->type = (uint8_t)type;
  tensor->frac_bits = (int8_t)frac_bits;
  return kq_is_fixed(tensor->type) ? frac_bits >= KQ_MIN_FRAC_BITS && frac_bits <= KQ_MAX_FRAC_BITS : frac_bits == 0;
}

static bool load_shape(kq_tensor *tensor, const uint8_t *table) {
  const kq_vector shape = kq_vector_field(table, TENSOR_SHAPE);
  uint64_t elements = 1;
  for (uint32_t axis = 0; axis < KQ_MAX_RANK; ++axis) {
    tensor->shape[axis] = axis < shape.count ? kq_u32(shape.elements + 4 * axis) : 1;
    elements *= tensor->shape[axis]; /* at most 2^31 * 2^32 */
    if (elements == 0 || elements > INT32_MAX) return false;
  }
  tensor->rank = (uint8_t)shape.count;
  tensor->elements = (uint32_t)elements;
  return shape.count > 0;
}

/* 32-bit words of a row of SIGN values: each output channel begins a new one. */
static uint32_t sign_words(const kq_tensor *tensor) { return (tensor->elements / tensor->shape[0] + 31) / 32; }

static uint64_t stored_bytes(const kq_tensor *tensor) {
  if (tensor->type == KQ_SIGN) return (uint64_t)tensor->shape[0] * sign_words(tensor) * 4;
  return ((uint64_t)tensor->elements * (uint32_t)kq_bits(tensor->type) + 7) / 8;
}

/* Values are finite, and bits after the last value (of a row, for SIGN) are zero: a tensor has exactly one representation. */
static bool has_sound_data(const kq_tensor *tensor) {
  if (tensor->type == KQ_FLOAT32) {
    for (uint32_t i = 0; i < tensor->elements; ++i) {
      if ((~kq_u32(tensor->data + 4 * i) & 0x7F800000u) == 0) return false;
    }
  } else if (tensor->type == KQ_SIGN) {
    const uint32_t words = sign_words(tensor), used = (tensor->elements / tensor->shape[0]) % 32;
    for (uint32_t i = 1; used != 0 && i <= tensor->shape[0]; ++i) {
      if (kq_u32(tensor->data + 4 * (i * words - 1)) >> used != 0) return false;
    }
  } else { /* of 4 or 2 bits, where they don't fill the last byte */
    const uint32_t used = tensor->elements * (uint32_t)kq_bits(tensor->type) % 8;
    return used == 0 || tensor->data[tensor->bytes - 1] >> used == 0;
  }
  return true;
}

/* Rows may lie in pairs if they are FIXED8, an even number of them, of a multiple of four values. */
static bool may_lie_so(const kq_tensor *tensor) {
  if (tensor->layout == KQ_LAYOUT_ROWS) return true;
  return tensor->type == KQ_FIXED8 && tensor->rank > 1 && tensor->shape[0] % 2 == 0 && tensor->elements / tensor->shape[0] % 4 == 0;
}

static kq_status load_constant(kq_tensor *tensor, const uint8_t *table) {
  const kq_vector data = kq_vector_field(table, TENSOR_DATA);
  if (tensor->offset != 0) return KQ_BAD_PLACE;
  if (data.count != stored_bytes(tensor)) return KQ_BAD_DATA;
  tensor->data = data.elements;
  tensor->bytes = data.count;
  return may_lie_so(tensor) && has_sound_data(tensor) ? KQ_OK : KQ_BAD_DATA;
}

/* Activations are FLOAT32, (U)FIXED8 or (U)FIXED16 and begin with the batch axis. */
static kq_status load_activation(kq_tensor *tensor, const kq_network *network) {
  const uint64_t bytes = stored_bytes(tensor);
  tensor->data = NULL;
  tensor->bytes = (uint32_t)bytes;
  if (tensor->rank < 2 || tensor->shape[0] != 1) return KQ_BAD_SHAPE;
  if (tensor->layout != KQ_LAYOUT_ROWS) return KQ_BAD_CODE;
  if (tensor->type == KQ_FIXED32 || kq_bits(tensor->type) < 8) return KQ_BAD_CODE;
  if (tensor->offset + bytes > network->planned_bytes) return KQ_BAD_PLACE;
  return tensor->offset % network->arena_alignment == 0 ? KQ_OK : KQ_BAD_PLACE;
}

/* The name of a tensor without one, its length before it as in a file. */
static const char unnamed[8];

static kq_status load_tensor(kq_tensor *tensor, const uint8_t *table, const kq_network *network) {
  const kq_vector name = kq_vector_field(table, TENSOR_NAME);
  tensor->layout = (uint8_t)kq_number(table, TENSOR_LAYOUT, 1, KQ_LAYOUT_ROWS);
  if (!load_format(tensor, table) || tensor->layout >= KQ_LAYOUTS) return KQ_BAD_CODE;
  if (name.count > KQ_MAX_NAME_BYTES) return KQ_BAD_TEXT;
  tensor->name = name.count == 0 ? unnamed + 4 : (const char *)name.elements;
  tensor->offset = kq_number(table, TENSOR_OFFSET, 4, 0);
  if (!load_shape(tensor, table)) return KQ_BAD_SHAPE;
  return kq_field(table, TENSOR_DATA) == NULL ? load_activation(tensor, network) : load_constant(tensor, table);
}

/* The attributes in a Window, in its order: how many fields each has, and their default, which they must have in an operator
 * whose kind does not use the attribute. A test compares the list with the schema. */
static const struct {
  uint8_t fields, absent, use;
} attributes[] = {
    {.fields = 2, .absent = 0, .use = KQ_USES_WINDOW},
    {.fields = 2, .absent = 1, .use = KQ_USES_STRIDES},
    {.fields = 2, .absent = 1, .use = KQ_USES_DILATIONS},
    {.fields = 4, .absent = 0, .use = KQ_USES_PADDING},
    {.fields = 1, .absent = 1, .use = KQ_USES_GROUPS},
    {.fields = 1, .absent = 0, .use = KQ_USES_CENTERED},
    {.fields = 1, .absent = 0, .use = KQ_USES_ZERO},
};

/* Absent fields of a Window, and an absent Window, have their defaults. */
static bool load_window(kq_operator *op, const uint8_t *table) {
  const uint8_t *window = kq_field(table, OPERATOR_WINDOW);
  uint16_t values[WINDOW_SLOTS];
  uint32_t slot = 0;
  for (uint32_t i = 0; i < sizeof attributes / sizeof attributes[0]; ++i) {
    const bool is_used = (kq_signatures[op->kind].attributes & attributes[i].use) != 0;
    for (const uint32_t end = slot + attributes[i].fields; slot < end; ++slot) {
      const uint32_t absent = attributes[i].absent;
      values[slot] = (uint16_t)(window == NULL ? absent : kq_number(kq_follow(window), slot, 2, absent));
      if (!is_used && values[slot] != absent) return false;
    }
  }
  memcpy(op->window, values + WINDOW_SIZE, sizeof op->window);
  memcpy(op->strides, values + WINDOW_STRIDES, sizeof op->strides);
  memcpy(op->dilations, values + WINDOW_DILATIONS, sizeof op->dilations);
  memcpy(op->padding, values + WINDOW_PADDING, sizeof op->padding);
  op->groups = values[WINDOW_GROUPS];
  op->is_centered = values[WINDOW_CENTERED] != 0;
  op->zero = values[WINDOW_ZERO];
  return values[WINDOW_CENTERED] <= 1;
}

/* Limits of the output's kind; those of the other must be 0. Floats are kept, and compared, as their bits: nothing is computed in
 * floating point before a kernel. */
static bool load_clamp(kq_operator *op, const uint8_t *table) {
  const uint8_t *field = kq_field(table, OPERATOR_CLAMP);
  const bool is_float = op->output->type == KQ_FLOAT32;
  const uint32_t slot = is_float ? CLAMP_FLOAT : CLAMP_FIXED, unused = is_float ? CLAMP_FIXED : CLAMP_FLOAT;
  op->has_clamp = field != NULL;
  if (field == NULL) return true;
  op->low.fixed = signed_number(kq_follow(field), slot);
  op->high.fixed = signed_number(kq_follow(field), slot + 1);
  return signed_number(kq_follow(field), unused) == 0 && signed_number(kq_follow(field), unused + 1) == 0;
}

/* Notes behind each tensor, in the order of the file, the next activation: as its `last`, which is nobody's yet. The number of
 * tensors where there is none. One walk for all, so that no file makes every operator take one. */
static void note_activations(kq_network *network) {
  uint32_t next = network->tensor_count;
  for (uint32_t i = network->tensor_count; i-- > 0;) {
    network->tensors[i].last = (int32_t)next;
    if (network->tensors[i].data == NULL) next = i;
  }
}

/* The tensor that an operator without outputs computes (since version 3): the first activation behind what the operator before it
 * computes, or behind the last input of the network. The number of tensors where there is none. */
static uint32_t implied_output(const kq_network *network, const kq_operator *op) {
  const uint32_t inputs = network->input_count, tensors = network->tensor_count;
  if (op != network->operators) return (uint32_t)op[-1].output->last;
  const uint32_t index = inputs == 0 ? tensors : kq_u32(network->inputs + 4 * (size_t)(inputs - 1));
  return index < tensors ? (uint32_t)network->tensors[index].last : tensors;
}

kq_scratch kq_planned_scratch(const kq_network *network, uint32_t index) {
  const kq_vector operators = kq_vector_field(kq_follow(network->model), MODEL_OPERATORS);
  const uint8_t *table = kq_follow(operators.elements + 4 * (size_t)index);
  const kq_scratch scratch = {kq_number(table, OPERATOR_SCRATCH_OFFSET, 4, 0), kq_number(table, OPERATOR_SCRATCH_BYTES, 4, 0)};
  return scratch;
}

size_t kq_scratch_place(const kq_network *network, const kq_operator *op, size_t bytes) {
  const kq_scratch planned = kq_planned_scratch(network, (uint32_t)(op - network->operators));
  return bytes <= planned.bytes ? planned.offset : (op->scratch + KQ_CACHE_LINE - 1) / KQ_CACHE_LINE * KQ_CACHE_LINE;
}

/* Inside the arena, and aligned as all that lies there. */
static bool has_sound_scratch(const kq_network *network, uint32_t index) {
  const kq_scratch scratch = kq_planned_scratch(network, index);
  return scratch.offset % network->arena_alignment == 0 && scratch.offset <= network->planned_bytes &&
         scratch.bytes <= network->planned_bytes - scratch.offset;
}

static kq_status load_operator(kq_operator *op, const uint8_t *table, const kq_network *network) {
  const kq_vector inputs = kq_vector_field(table, OPERATOR_INPUTS), outputs = kq_vector_field(table, OPERATOR_OUTPUTS);
  const uint32_t kind = kq_number(table, OPERATOR_KIND, 1, 0);
  if (kind >= KQ_KINDS) return KQ_BAD_CODE;
  if (inputs.count > KQ_MAX_INPUTS) return KQ_BAD_OPERAND;
  memset(op, 0, sizeof *op);
  for (uint32_t i = 0; i < inputs.count; ++i) {
    const uint32_t index = kq_u32(inputs.elements + 4 * i);
    if (index == (uint32_t)KQ_ABSENT) continue;
    if (index >= network->tensor_count) return KQ_BAD_LINK;
    op->input[i] = &network->tensors[index];
  }
  const uint32_t output = outputs.count == 0 ? implied_output(network, op) : kq_u32(outputs.elements);
  if (outputs.count > 1 || output >= network->tensor_count) return KQ_BAD_LINK;
  op->output = &network->tensors[output];
  op->inputs = (uint8_t)inputs.count;
  op->kind = (uint8_t)kind;
  op->accumulator_bits = (uint8_t)kq_number(table, OPERATOR_ACCUMULATOR_BITS, 1, 0);
  op->total_bits = (uint8_t)kq_number(table, OPERATOR_TOTAL_BITS, 1, 0);
  return load_window(op, table) && load_clamp(op, table) ? KQ_OK : KQ_BAD_ATTRIBUTE;
}

/* Metadata are read by nobody here, but a file that Python refuses is refused. Keys are few: at most 256. */
static bool has_sound_metadata(const kq_tables *tables) {
  const uint8_t *references = tables->bytes + tables->metadata;
  for (uint32_t i = 0; i < tables->metadata_count; ++i) {
    const kq_vector key = kq_vector_field(kq_follow(references + 4 * i), METADATA_KEY);
    if (key.count == 0) return false;
    for (uint32_t j = 0; j < i; ++j) {
      const kq_vector other = kq_vector_field(kq_follow(references + 4 * j), METADATA_KEY);
      if (key.count == other.count && memcmp(key.elements, other.elements, key.count) == 0) return false;
    }
  }
  return true;
}

/* The names of the inputs or of the outputs: none, or one for each, all different. The structure allows at most 256. */
static kq_status check_end_names(const kq_network *network, uint32_t slot, uint32_t ends) {
  const kq_vector names = kq_vector_field(kq_follow(network->model), slot);
  if (names.count != 0 && names.count != ends) return KQ_BAD_COUNT;
  for (uint32_t i = 0; i < names.count; ++i) {
    const uint8_t *name = kq_follow(names.elements + 4 * i);
    const uint32_t bytes = kq_u32(name);
    if (bytes == 0 || bytes > KQ_MAX_NAME_BYTES) return KQ_BAD_TEXT;
    for (uint32_t j = 0; j < i; ++j) {
      const uint8_t *other = kq_follow(names.elements + 4 * j);
      if (kq_u32(other) == bytes && memcmp(name + 4, other + 4, bytes) == 0) return KQ_BAD_TEXT;
    }
  }
  return KQ_OK;
}

kq_status kq_load(kq_network *network, const kq_tables *tables, kq_error *error) {
  const uint32_t alignment = network->arena_alignment;
  if (tables->version == 0 || tables->version > KQ_VERSION) return kq_fail(error, KQ_BAD_VERSION, -1, -1);
  if (alignment < KQ_MIN_ALIGNMENT || alignment > KQ_MAX_ALIGNMENT || (alignment & (alignment - 1)) != 0 ||
      network->planned_bytes > INT32_MAX) {
    return kq_fail(error, KQ_BAD_COUNT, -1, -1);
  }
  for (uint32_t i = 0; i < network->tensor_count; ++i) {
    const uint8_t *table = kq_follow(tables->bytes + tables->tensors + 4 * i);
    const kq_status status = load_tensor(&network->tensors[i], table, network);
    if (status != KQ_OK) return kq_fail(error, status, -1, (int32_t)i);
  }
  note_activations(network);
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    const uint8_t *table = kq_follow(tables->bytes + tables->operators + 4 * i);
    const kq_status status = load_operator(&network->operators[i], table, network);
    if (status != KQ_OK) return kq_fail(error, status, (int32_t)i, -1);
    if (!has_sound_scratch(network, i)) return kq_fail(error, KQ_BAD_PLACE, (int32_t)i, -1);
  }
  if (!has_sound_metadata(tables)) return kq_fail(error, KQ_BAD_TEXT, -1, -1);
  kq_status names = check_end_names(network, MODEL_INPUT_NAMES, network->input_count);
  if (names == KQ_OK) names = check_end_names(network, MODEL_OUTPUT_NAMES, network->output_count);
  return names == KQ_OK ? KQ_OK : kq_fail(error, names, -1, -1);
}
