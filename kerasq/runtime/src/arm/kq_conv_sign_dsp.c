/* CONV_2D of 8-bit inputs by weights of one bit, all channels in one group: eight output pixels at a time (kq_arm_signs.h). The last
 * of a map, where fewer are left, are computed as in kq_conv_dsp.c. */
#include "kq_arm_block.h"
#include "kq_arm_signs.h"

enum { HALVES = KQ_ARM_SIGN_PIXELS / KQ_ARM_PIXELS };

/* Parts of the scratch memory, as offsets. Inputs are read where they lie if a word of weights never belongs to two taps, else windows
 * are copied together. */
typedef struct {
  size_t tables, fields, totals, inputs, origins, zeros, windows, results, end;
  uint32_t words; /* of an output channel's weights */
  bool in_place;
} layout;

static layout lay_out(const kq_operator *op) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const uint32_t outputs = kernel->shape[0], channels = kernel->shape[3];
  const size_t sums = (size_t)outputs + 1; /* the last is that of all inputs */
  layout place;
  place.words = (kernel->elements / outputs + KQ_ARM_SIGN_INPUTS - 1) / KQ_ARM_SIGN_INPUTS;
  place.in_place = channels % KQ_ARM_SIGN_INPUTS == 0;
  place.tables = kq_rounded_up(outputs * sizeof(kq_arm_channel), 8);
  place.fields = place.tables + KQ_ARM_TABLE_WORDS * sizeof(uint32_t);
  place.totals = place.fields + sums * KQ_ARM_FIELD_WORDS * sizeof(uint32_t);
  place.inputs = place.totals + (place.words > KQ_ARM_SAFE_WORDS ? sums * KQ_ARM_SIGN_PIXELS * sizeof(int32_t) : 0);
  place.origins = place.inputs + KQ_ARM_SIGN_PIXELS * KQ_ARM_SIGN_INPUTS;
  place.zeros = place.origins + KQ_ARM_SIGN_PIXELS * sizeof(kq_arm_origin);
  place.windows = place.zeros + (place.in_place ? channels : 0);
  place.results = place.windows + (place.in_place ? 0 : (size_t)place.words * KQ_ARM_SIGN_INPUTS * KQ_ARM_SIGN_PIXELS);
  place.end = place.results + kq_arm_results_bytes(op, KQ_ARM_SIGN_PIXELS);
  return place;
}

static size_t scratch_bytes(const kq_operator *op) { return lay_out(op).end; }

static bool accepts_any(const kq_operator *op) {
  return op->groups == 1 && kq_arm_can_finish(op) && kq_arm_addend_allows_blocks(op, KQ_ARM_SIGN_PIXELS) &&
         op->input[KQ_KERNEL]->bytes <= KQ_ARM_MOST_SCRATCH * 4 && scratch_bytes(op) <= KQ_ARM_MOST_SCRATCH;
}

static bool accepts(const kq_operator *op) { return op->input[KQ_ADDEND] == NULL && accepts_any(op); }
static bool accepts_addend(const kq_operator *op) { return op->input[KQ_ADDEND] != NULL && accepts_any(op); }

typedef struct {
  const kq_operator *op;
  kq_arm_choose choose;
  const uint8_t *input, *addend, *weights;
  uint8_t *output;
  size_t row_bytes; /* of an output channel's weights */
  uint32_t outputs, words, safe; /* words of weights before fields could overflow */
  uint32_t mask;
  kq_arm_channel *channels;
  uint32_t *tables, *fields, *inputs;
  int32_t *totals; /* the four pixels of either half, channel by channel */
  bool has_totals;   /* where fields do not suffice */
  kq_arm_origin *at; /* of the pixels */
  uint8_t *zeros, *windows, *results;
} convolution;

static uint32_t ones(uint32_t word) {
  word -= word >> 1 & 0x55555555u;
  word = (word & 0x33333333u) + (word >> 2 & 0x33333333u);
  return ((word + (word >> 4)) & 0x0F0F0F0Fu) * 0x01010101u >> 24;
}

/* Inputs were raised by 128, and absent ones, which have weights of -1, are then 128, too: takes back 128 times the sum of all
 * weights. */
static void lower_starts(const convolution *conv) {
  for (uint32_t output = 0; output < conv->outputs; ++output) {
    kq_arm_channel *channel = &conv->channels[output];
    const uint8_t *row = conv->weights + output * conv->row_bytes;
    int32_t sum = -(int32_t)(conv->words * KQ_ARM_SIGN_INPUTS);
    for (uint32_t word = 0; word < conv->words; ++word) sum += 2 * (int32_t)ones(kq_load_word(row + 4 * word));
    uint64_t start = (uint64_t)(uint32_t)channel->start_high << 32 | channel->start_low;
    start -= (uint64_t)((int64_t)(128 * sum) * channel->factor);
    channel->start_low = (uint32_t)start;
    channel->start_high = (int32_t)(uint32_t)(start >> 32);
  }
}

/* Fields to totals, and back to 0. */
static void empty_fields(const convolution *conv) {
  const uint32_t sums = conv->outputs + 1;
  uint32_t *field = conv->fields;
  int32_t *total = conv->totals, *other = total + sums * KQ_ARM_PIXELS;
  for (uint32_t i = 0; i < sums; ++i, total += KQ_ARM_PIXELS, other += KQ_ARM_PIXELS) {
    for (uint32_t word = 0; word < 2; ++word, ++field) {
      const uint32_t low = field[0], high = field[2];
      total[2 * word] += (int32_t)(low & 0xFFFFu);
      total[2 * word + 1] += (int32_t)(low >> 16);
      other[2 * word] += (int32_t)(high & 0xFFFFu);
      other[2 * word + 1] += (int32_t)(high >> 16);
      field[0] = field[2] = 0;
    }
    field += 2;
  }
}

/* What word number `word` of all channels' weights adds. */
static void add_word(convolution *conv, const uint8_t *pixels[KQ_ARM_SIGN_PIXELS], uint32_t word) {
  static const uint32_t everything = UINT32_MAX;
  uint32_t *const all = conv->fields + conv->outputs * KQ_ARM_FIELD_WORDS;
  kq_arm_copy_inputs(conv->inputs, pixels, conv->mask);
  kq_arm_make_tables(conv->tables, conv->inputs);
  kq_arm_look_up(conv->tables, conv->weights + 4 * word, conv->row_bytes, conv->fields, all);
  kq_arm_look_up(conv->tables, (const uint8_t *)&everything, 0, all, all + KQ_ARM_FIELD_WORDS);
  if (--conv->safe == 0) {
    if (conv->has_totals) empty_fields(conv);
    conv->safe = KQ_ARM_SAFE_WORDS;
  }
}

/* Taps where they lie; taps beside the input are the zero of the operator. */
static void add_taps(convolution *conv) {
  const kq_arm_origin *const at = conv->at;
  const kq_operator *op = conv->op;
  const uint32_t *shape = op->input[KQ_X]->shape;
  uint32_t word = 0;
  for (uint32_t row = 0; row < op->window[0]; ++row) {
    for (uint32_t column = 0; column < op->window[1]; ++column) {
      const uint8_t *pixels[KQ_ARM_SIGN_PIXELS];
      for (int i = 0; i < KQ_ARM_SIGN_PIXELS; ++i) {
        const uint32_t y = (uint32_t)at[i].row + row * op->dilations[0], x = (uint32_t)at[i].column + column * op->dilations[1];
        pixels[i] = y < shape[1] && x < shape[2] ? conv->input + (y * shape[2] + x) * shape[3] : conv->zeros;
      }
      for (uint32_t channel = 0; channel < shape[3]; channel += KQ_ARM_SIGN_INPUTS) add_word(conv, pixels, word++);
    }
  }
}

static void add_windows(convolution *conv) {
  const uint8_t *pixels[KQ_ARM_SIGN_PIXELS];
  const size_t bytes = (size_t)conv->words * KQ_ARM_SIGN_INPUTS;
  for (int i = 0; i < KQ_ARM_SIGN_PIXELS; ++i) {
    pixels[i] = conv->windows + (size_t)i * bytes;
    kq_arm_copy_window(conv->op, conv->input, conv->at[i], conv->windows + (size_t)i * bytes, bytes);
  }
  for (uint32_t word = 0; word < conv->words; ++word) add_word(conv, pixels, word);
}

/* One of the halves, of which `count` pixels, from number `pixel` on, are wanted. */
KQ_APART static void finish_half(const convolution *conv, uint32_t pixel, uint32_t count, uint32_t half) {
  const size_t first = (size_t)pixel * conv->outputs;
  const bool whole = count == 1 || count == KQ_ARM_PIXELS;
  const uint32_t *fields = conv->fields + half * KQ_ARM_FIELD_WORDS / HALVES, *all = fields + conv->outputs * KQ_ARM_FIELD_WORDS;
  const int32_t *totals = conv->totals + half * (conv->outputs + 1) * KQ_ARM_PIXELS;
  kq_arm_block block = {.channel = conv->channels,
                        .y = whole ? conv->output + first : conv->results,
                        .next_pixel = count == 1 ? 0 : conv->outputs,
                        .left = conv->outputs,
                        .addend = conv->addend + first};
  conv->choose(conv->op, &block);
  for (uint32_t i = 0; i < KQ_ARM_PIXELS; ++i) {
    block.all[i] = conv->has_totals ? totals[conv->outputs * KQ_ARM_PIXELS + i]
                                    : (int32_t)(i % 2 == 0 ? all[i / 2] & 0xFFFFu : all[i / 2] >> 16);
  }
  if (conv->has_totals) {
    kq_arm_finish_totals(&block, totals);
  } else {
    kq_arm_finish_fields(&block, fields);
  }
  if (!whole) kq_arm_copy(conv->output + first, conv->results, count * conv->outputs);
}

KQ_APART static void sum_block(convolution *conv, kq_arm_cursor *cursor, uint32_t count) {
  const size_t sums = (size_t)conv->outputs + 1;
  kq_arm_next_origins(conv->op, cursor, count, conv->at, KQ_ARM_SIGN_PIXELS);
  memset(conv->fields, 0, sums * KQ_ARM_FIELD_WORDS * sizeof *conv->fields);
  conv->safe = KQ_ARM_SAFE_WORDS;
  if (conv->has_totals) memset(conv->totals, 0, sums * KQ_ARM_SIGN_PIXELS * sizeof *conv->totals);
  if (conv->op->input[KQ_X]->shape[3] % KQ_ARM_SIGN_INPUTS == 0) {
    add_taps(conv);
  } else {
    add_windows(conv);
  }
  if (conv->has_totals) empty_fields(conv);
}

KQ_APART static void prepare(const kq_operator *op, uint8_t *arena, convolution *conv) {
  const kq_tensor *addend = op->input[KQ_ADDEND];
  const layout place = lay_out(op);
  uint8_t *const scratch = arena + op->scratch;
  conv->op = op;
  conv->output = kq_output_data(op, arena);
  conv->input = kq_input_data(op, KQ_X, arena);
  conv->addend = addend == NULL ? conv->output : kq_input_data(op, KQ_ADDEND, arena);
  conv->weights = op->input[KQ_KERNEL]->data;
  conv->row_bytes = (size_t)place.words * 4;
  conv->outputs = op->input[KQ_KERNEL]->shape[0];
  conv->words = place.words;
  conv->mask = kq_arm_raise(op->input[KQ_X]);
  conv->channels = (kq_arm_channel *)(void *)scratch;
  conv->tables = (uint32_t *)(void *)(scratch + place.tables);
  conv->fields = (uint32_t *)(void *)(scratch + place.fields);
  conv->inputs = (uint32_t *)(void *)(scratch + place.inputs);
  conv->totals = (int32_t *)(void *)(scratch + place.totals);
  conv->has_totals = place.words > KQ_ARM_SAFE_WORDS;
  conv->at = (kq_arm_origin *)(void *)(scratch + place.origins);
  conv->zeros = scratch + place.zeros;
  conv->windows = scratch + place.windows;
  conv->results = scratch + place.results;
  kq_arm_make_channels(op, 0, conv->outputs, conv->channels);
  if (conv->mask != 0) lower_starts(conv);
  memset(conv->tables, 0, KQ_ARM_TABLE_WORDS * sizeof *conv->tables);
  memset(conv->zeros, op->zero, place.windows - place.zeros);
}

static void run_with(const kq_operator *op, uint8_t *arena, kq_arm_choose choose) {
  convolution conv = {.choose = choose};
  prepare(op, arena, &conv);
  const uint32_t pixels = op->output->elements / conv.outputs;
  kq_arm_cursor cursor = kq_arm_first_origin(op);
  for (uint32_t pixel = 0, count; pixel < pixels; pixel += count) {
    count = kq_arm_block_size(op, pixels - pixel, KQ_ARM_SIGN_PIXELS);
    sum_block(&conv, &cursor, count);
    finish_half(&conv, pixel, count < KQ_ARM_PIXELS ? count : KQ_ARM_PIXELS, 0);
    if (count > KQ_ARM_PIXELS) finish_half(&conv, pixel + KQ_ARM_PIXELS, count - KQ_ARM_PIXELS, 1);
  }
  kq_arm_limit(op, arena);
}

static void run(const kq_operator *op, uint8_t *arena) { run_with(op, arena, kq_arm_choose_finish); }
static void run_addend(const kq_operator *op, uint8_t *arena) { run_with(op, arena, kq_arm_choose_finish_with_addend); }

#define KERNEL(kernel, type_of_x, can, compute)                 \
  const kq_kernel kernel = {                                    \
      .name = #kernel,                                          \
      .kind = KQ_CONV_2D,                                       \
      .input_type = type_of_x,                                  \
      .weight_type = KQ_SIGN,                                   \
      .accumulator_bits = 32,                                   \
      .accepts = can,                                           \
      .scratch_bytes = scratch_bytes,                           \
      .run = compute,                                           \
  };
KERNEL(kq_conv_2d_s8_sign_dsp, KQ_FIXED8, accepts, run)
KERNEL(kq_conv_2d_s8_sign_addend_dsp, KQ_FIXED8, accepts_addend, run_addend)
KERNEL(kq_conv_2d_u8_sign_dsp, KQ_UFIXED8, accepts, run)
KERNEL(kq_conv_2d_u8_sign_addend_dsp, KQ_UFIXED8, accepts_addend, run_addend)
