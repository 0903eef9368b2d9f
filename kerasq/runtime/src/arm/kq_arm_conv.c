/* The windows of all four are widened before any of their outputs is written, and outputs go in raster order: as safe over an input
 * that nobody needs afterwards as pixel by pixel (kq_overlap.c). Where fewer than four are left the last of them is computed several
 * times, and the results are copied; with an addend they are computed one by one, as four that are the same. */
#include "kq_arm_conv.h"

/* Parts of the scratch memory that begins at an address, and where it ends. With channels that make whole turns, inputs are widened
 * where they lie; else windows are copied together first, and rows of weights that don't end with a word, too. */
static uintptr_t lay_out(const kq_operator *op, uintptr_t at, kq_arm_convolution *conv) {
  const kq_tensor *kernel = op->input[KQ_KERNEL];
  const uint32_t outputs = kernel->shape[0], row = kernel->elements / outputs, channels = kernel->shape[3];
  const uint32_t bits = (uint32_t)kq_bits(kernel->type), rest = 32 / bits - 1; /* of the inputs of a turn, a power of two */
  const uint32_t inputs = (row + rest) & ~rest;
  conv->words = inputs / 4;
  conv->channels = (kq_arm_channel *)at;
  at += kq_rounded_up(outputs * sizeof(kq_arm_channel), 8);
  conv->turns = (uint32_t *)at;
  at += inputs * (KQ_ARM_TURN_WORDS * sizeof(uint32_t) / 4);
  conv->windows = (uint8_t *)at;
  at += (channels & rest) == 0 ? channels : (size_t)inputs * KQ_ARM_PIXELS;
  conv->arranged = (uint8_t *)at;
  if (inputs != row) at += (size_t)outputs * (inputs * bits / 8);
  conv->results = (uint8_t *)at;
  return at + kq_arm_results_bytes(op, KQ_ARM_PIXELS);
}

size_t kq_arm_conv_scratch(const kq_operator *op) {
  kq_arm_convolution conv;
  return lay_out(op, 0, &conv);
}

static bool accepts_any(const kq_operator *op) {
  return op->groups == 1 && kq_arm_can_finish(op) && kq_arm_addend_allows_blocks(op, KQ_ARM_PIXELS) &&
         op->input[KQ_KERNEL]->bytes <= KQ_ARM_MOST_WEIGHTS && kq_arm_conv_scratch(op) <= KQ_ARM_MOST_SCRATCH;
}

bool kq_arm_can_convolve(const kq_operator *op) { return op->input[KQ_ADDEND] == NULL && accepts_any(op); }
bool kq_arm_can_convolve_with_addend(const kq_operator *op) { return op->input[KQ_ADDEND] != NULL && accepts_any(op); }

KQ_APART static void multiply(const kq_arm_convolution *conv, uint32_t pixel, uint32_t count) {
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
  conv->method->choose(conv->op, &block);
  conv->method->multiply(&block);
  if (count != 1 && count != KQ_ARM_PIXELS) kq_arm_copy(conv->output + first, conv->results, count * outputs);
}

KQ_APART static void prepare(const kq_operator *op, uint8_t *arena, kq_arm_convolution *conv) {
  const kq_tensor *kernel = op->input[KQ_KERNEL], *addend = op->input[KQ_ADDEND];
  conv->op = op;
  conv->output = kq_output_data(op, arena);
  conv->input = kq_input_data(op, KQ_X, arena);
  conv->addend = addend == NULL ? conv->output : kq_input_data(op, KQ_ADDEND, arena);
  conv->widen = (kq_arm_widen)op->kernel->inner;
  conv->cursor = kq_arm_first_origin(op);
  lay_out(op, (uintptr_t)arena + op->scratch, conv);
  kq_arm_make_channels(op, 0, op->output->shape[3], conv->channels);
  memset(conv->windows, op->zero, kernel->shape[3]);
  conv->weights = conv->method->arrange == NULL ? kernel->data : conv->method->arrange(kernel, conv->arranged, conv->words);
}

void kq_arm_convolve(const kq_operator *op, uint8_t *arena, const kq_arm_method *method) {
  kq_arm_convolution conv = {.method = method};
  prepare(op, arena, &conv);
  const uint32_t pixels = op->output->elements / op->output->shape[3];
  for (uint32_t pixel = 0, count; pixel < pixels; pixel += count) {
    count = kq_arm_block_size(op, pixels - pixel, KQ_ARM_PIXELS);
    method->fetch(&conv, pixel, count);
    multiply(&conv, pixel, count);
  }
  kq_arm_limit(op, arena);
}
