/* Classifies the images of images.h with the network of kerasq_model.c, which run.py makes as kerasq-convert --emit_c does, and
 * reports: one line a fact, for a person or run.py to read. */
#include <string.h>

#include "board.h"
#include "images.h"
#include "kerasq_model.h"

static _Alignas(KERASQ_MODEL_ARENA_ALIGNMENT) uint8_t arena[KERASQ_MODEL_ARENA_BYTES];
static uint64_t state[KERASQ_MODEL_STATE_BYTES / sizeof(uint64_t)];

static void report(const char *what, uint32_t value) {
  print_text(what);
  print_number((int32_t)value);
  print_text("\n");
}

static void fail(const char *what, const kq_error *error) {
  print_text(what);
  print_text(": ");
  print_text(kq_status_text(error->status));
  report("\noperator ", (uint32_t)error->operator_index);
  report("tensor ", (uint32_t)error->tensor_index);
  leave(1);
}

static void classify(const kq_network *network, uint32_t image) {
  memcpy(kq_tensor_data(network, kq_input(network, 0), arena), images[image], KERASQ_MODEL_INPUT_0_BYTES);
  const uint32_t start = ticks();
  kq_invoke(network, arena);
  const uint32_t duration = ticks() - start;
  const kerasq_model_output_0 *const scores = kq_tensor_data(network, kq_output(network, 0), arena);
  uint32_t best = 0;
  report("image ", image);
  print_text("scores");
  for (uint32_t i = 0; i < KERASQ_MODEL_OUTPUT_0_ELEMENTS; ++i) {
    if (scores[i] > scores[best]) best = i;
    print_text(" ");
    print_number(scores[i]);
  }
  report("\nclass ", best);
  report("ticks ", duration);
}

/* The first image once more, operator by operator. */
static void measure_operators(const kq_network *network) {
  memcpy(kq_tensor_data(network, kq_input(network, 0), arena), images[0], KERASQ_MODEL_INPUT_0_BYTES);
  for (uint32_t i = 0; i < kq_operators(network); ++i) {
    const uint32_t start = ticks();
    kq_invoke_operator(network, i, arena);
    report("operator ticks ", ticks() - start);
  }
}

int main(void) {
  const kq_network *network;
  kq_error error;
  size_t state_bytes = sizeof state;
  start_clock();

  paint_stack();
  const uint32_t start = ticks();
  if (kq_prepare(kerasq_model_data, KERASQ_MODEL_BYTES, &kerasq_model_kernels, state, &state_bytes, &network, &error) !=
      KQ_OK) {
    fail("kq_prepare", &error);
  }
  report("prepare ticks ", ticks() - start);
  report("prepare stack ", stack_used());
  report("state ", (uint32_t)state_bytes);
  report("arena ", (uint32_t)kq_arena_bytes(network));

  paint_stack();
  if (kq_selftest(network, arena, &error) != KQ_OK) fail("kq_selftest", &error);
  report("selftest operators ", kq_operators(network));
  report("selftest stack ", stack_used());

  for (uint32_t image = 0; image < IMAGES; ++image) classify(network, image);
  measure_operators(network);
  return 0;
}
