/* The windows of all four are widened before any of their outputs is written, and outputs go in raster order: as safe over an input
 * that nobody needs afterwards as pixel by pixel (kq_overlap.c). Where fewer than four are left the last of them is computed several
 * times, and the results are copied; with an addend they are computed one by one, as four that are the same. */
#include "kq_arm_conv.h"

typedef uint32_t *(*widen_function)(uint32_t *turns, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t words);

/* Parts of the scratch memory, as offsets. With channels that make whole words, words are widened where they lie; else windows are
 * copied together first, and rows of weights that don't end with a word, too. */
typedef struct {
  size_t turns, zeros, windows, weights, results, end;
  uint32_t words; /* of a window */
} layout;

static layout lay_out(const kq_operator *op) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const uint32_t outputs = kernel->shape[0], row = kernel->elements / outputs, channels = kernel->shape[3];
  layout place;
  place.words = (row + 3) / 4;
  place.turns = kq_rounded_up(outputs * sizeof(kq_arm_channel), 8);
  place.zeros = place.turns + (size_t)place.words * KQ_ARM_TURN_WORDS * sizeof(uint32_t);
  place.windows = place.zeros + (channels % 4 == 0 ? channels : 0);
  place.weights = place.windows + (channels % 4 == 0 ? 0 : (size_t)place.words * 4 * KQ_ARM_PIXELS);
  place.results = place.weights + (row % 4 == 0 ? 0 : (size_t)outputs * place.words * 4);
  place.end = place.results + kq_arm_results_bytes(op, KQ_ARM_PIXELS);
  return place;
}

size_t kq_arm_conv_scratch(const kq_operator *op) { return lay_out(op).end; }

static bool accepts_any(const kq_operator *op) {
  return op->groups == 1 && kq_arm_can_finish(op) && kq_arm_addend_allows_blocks(op, KQ_ARM_PIXELS) &&
         op->input[KQ_KERNEL]->bytes <= KQ_ARM_MOST_WEIGHTS && kq_arm_conv_scratch(op) <= KQ_ARM_MOST_SCRATCH;
}

bool kq_arm_can_convolve(const kq_operator *op) { return op->input[KQ_ADDEND] == NULL && accepts_any(op); }
bool kq_arm_can_convolve_with_addend(const kq_operator *op) { return op->input[KQ_ADDEND] != NULL && accepts_any(op); }

typedef struct {
  const kq_operator *op;
  kq_arm_choose choose;
  kq_arm_multiply multiply;
  const uint8_t *input, *addend, *weights;
  uint8_t *output;
  widen_function widen;
  kq_arm_channel *channels;
  uint32_t *turns;
  uint8_t *windows, *zeros, *results;
  uint32_t words;
  kq_arm_cursor cursor;
} convolution;

#ifndef __OPTIMIZE_SIZE__ /* else tap by tap, wherever they lie */
/* Rows of four windows that lie inside the input. */
static void widen_rows(const convolution *conv, const uint8_t *pixels[KQ_ARM_PIXELS], uint32_t *turns) {
  const kq_operator *op = conv->op;
  const uint32_t *shape = op->input[KQ_X]->shape;
  const uint32_t run = op->window[1] * shape[3], next = op->dilations[0] * shape[2] * shape[3] - run;
  for (uint32_t row = op->window[0]; row > 0; --row) {
    turns = conv->widen(turns, pixels, run / 4);
    for (int i = 0; i < KQ_ARM_PIXELS; ++i) pixels[i] += next;
  }
}
#endif

/* Tap by tap; taps beside the input are zeros. */
static void widen_taps(const convolution *conv, const kq_arm_origin at[KQ_ARM_PIXELS], uint32_t *turns) {
  const kq_operator *op = conv->op;
  const uint32_t *shape = op->input[KQ_X]->shape;
  for (uint32_t row = 0; row < op->window[0]; ++row) {
    for (uint32_t column = 0; column < op->window[1]; ++column) {
      const uint8_t *pixels[KQ_ARM_PIXELS];
      for (int i = 0; i < KQ_ARM_PIXELS; ++i) {
        const uint32_t y = (uint32_t)at[i].row + row * op->dilations[0], x = (uint32_t)at[i].column + column * op->dilations[1];
        pixels[i] = y < shape[1] && x < shape[2] ? conv->input + (y * shape[2] + x) * shape[3] : conv->zeros;
      }
      turns = conv->widen(turns, pixels, shape[3] / 4);
    }
  }
}

/* Channels that make no whole words: the windows are copied first. */
static void widen_copies(const convolution *conv, const kq_arm_origin at[KQ_ARM_PIXELS], uint32_t *turns) {
  const uint8_t *pixels[KQ_ARM_PIXELS];
  const size_t bytes = (size_t)conv->words * 4;
  for (int i = 0; i < KQ_ARM_PIXELS; ++i) {
    pixels[i] = conv->windows + (size_t)i * bytes;
    kq_arm_copy_window(conv->op, conv->input, at[i], conv->windows + (size_t)i * bytes, bytes);
  }
  conv->widen(turns, pixels, conv->words);
}

KQ_APART static void widen_windows(convolution *conv, uint32_t pixel, uint32_t count) {
  uint32_t *const turns = conv->turns;
  const uint32_t *shape = conv->op->input[KQ_X]->shape;
  const uint8_t *pixels[KQ_ARM_PIXELS];
  if (KQ_UNROLL(conv->cursor.is_pointwise, false) && shape[3] % 4 == 0) {
    pixels[0] = conv->input + pixel * shape[3];
    for (int i = 1; i < KQ_ARM_PIXELS; ++i) pixels[i] = pixels[i - 1] + ((uint32_t)i < count ? shape[3] : 0);
    conv->widen(turns, pixels, conv->words);
    return;
  }
  kq_arm_origin at[KQ_ARM_PIXELS];
  const bool inside = kq_arm_next_origins(conv->op, &conv->cursor, count, at, KQ_ARM_PIXELS);
  if (shape[3] % 4 != 0) {
    widen_copies(conv, at, turns);
    return;
  }
#ifndef __OPTIMIZE_SIZE__
  if (inside && conv->op->dilations[1] == 1) {
    for (int i = 0; i < KQ_ARM_PIXELS; ++i) {
      pixels[i] = conv->input + ((uint32_t)at[i].row * shape[2] + (uint32_t)at[i].column) * shape[3];
    }
    widen_rows(conv, pixels, turns);
    return;
  }
#endif
  (void)inside;
  widen_taps(conv, at, turns);
}

/* Rows of weights that begin anywhere, as rows of whole words. */
static const uint8_t *aligned_weights(const kq_tensor *kernel, uint8_t *memory, uint32_t words) {
  const uint32_t outputs = kernel->shape[0], row = kernel->elements / outputs;
  if (row % 4 == 0) return kernel->data;
  for (uint32_t output = 0; output < outputs; ++output) {
    uint8_t *to = memory + (size_t)output * words * 4;
    kq_store_word(to + (words - 1) * 4, 0);
    kq_arm_copy(to, kernel->data + (size_t)output * row, row);
  }
  return memory;
}

KQ_APART static void multiply(const convolution *conv, uint32_t pixel, uint32_t count) {
  const uint32_t outputs = conv->op->output->shape[3], turns = conv->words;
  const size_t first = (size_t)pixel * outputs;
  kq_arm_block block = {.x = conv->turns,
                        .x_whole = conv->turns + turns / KQ_ARM_TURNS_AT_ONCE * KQ_ARM_TURNS_AT_ONCE * KQ_ARM_TURN_WORDS,
                        .x_end = conv->turns + turns * KQ_ARM_TURN_WORDS,
                        .weights = conv->weights,
                        .channel = conv->channels,
                        .y = count == 1 || count == KQ_ARM_PIXELS ? conv->output + first : conv->results,
                        .next_pixel = count == 1 ? 0 : outputs,
                        .left = outputs,
                        .addend = conv->addend + first};
  conv->choose(conv->op, &block);
  conv->multiply(&block);
  if (count != 1 && count != KQ_ARM_PIXELS) kq_arm_copy(conv->output + first, conv->results, count * outputs);
}

KQ_APART static void prepare(const kq_operator *op, uint8_t *arena, convolution *conv) {
  const kq_tensor *kernel = op->input[KQ_KERNEL], *addend = op->input[KQ_ADDEND];
  const layout place = lay_out(op);
  uint8_t *const scratch = arena + op->scratch;
  conv->op = op;
  conv->output = kq_output_data(op, arena);
  conv->input = kq_input_data(op, KQ_X, arena);
  conv->addend = addend == NULL ? conv->output : kq_input_data(op, KQ_ADDEND, arena);
  conv->widen = (widen_function)op->kernel->inner;
  conv->channels = (kq_arm_channel *)(void *)scratch;
  conv->turns = (uint32_t *)(void *)(scratch + place.turns);
  conv->windows = scratch + place.windows;
  conv->zeros = scratch + place.zeros;
  conv->results = scratch + place.results;
  conv->words = place.words;
  conv->cursor = kq_arm_first_origin(op);
  kq_arm_make_channels(op, 0, op->output->shape[3], conv->channels);
  memset(conv->zeros, 0, place.windows - place.zeros);
  conv->weights = aligned_weights(kernel, scratch + place.weights, place.words);
}

void kq_arm_convolve(const kq_operator *op, uint8_t *arena, kq_arm_choose choose, kq_arm_multiply products) {
  convolution conv = {.choose = choose, .multiply = products};
  prepare(op, arena, &conv);
  const uint32_t pixels = op->output->elements / op->output->shape[3];
  for (uint32_t pixel = 0, count; pixel < pixels; pixel += count) {
    count = kq_arm_block_size(op, pixels - pixel, KQ_ARM_PIXELS);
    widen_windows(&conv, pixel, count);
    multiply(&conv, pixel, count);
  }
  kq_arm_limit(op, arena);
}
