/* kqrun bench: the median time of one example, and of each operator of it. */
#ifndef _WIN32
#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#endif
#include "kqrun.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECONDS 1.0 /* to measure for, unless --runs says how often */
#define LEAST_RUNS 5L
#define MOST_RUNS 10000L

static double seconds(void) {
  struct timespec now;
#ifdef _WIN32
  timespec_get(&now, TIME_UTC);
#else
  clock_gettime(CLOCK_MONOTONIC, &now);
#endif
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Noise in every input, the same at each call: operators overwrite inputs that nothing reads any more. */
static void fill_inputs(const loaded_model *model) {
  uint32_t noise = 1;
  for (uint32_t i = 0; i < kq_inputs(model->network); ++i) {
    const uint32_t tensor = kq_input(model->network, i);
    const kq_tensor_info info = kq_describe_tensor(model->network, tensor);
    uint8_t *const stored = kq_tensor_data(model->network, tensor, model->arena);
    for (size_t position = 0; position < info.bytes; position += info.type == KQ_FLOAT32 ? sizeof(float) : 1) {
      noise = noise * 1664525u + 1013904223u; /* a linear congruential generator: its high bits are the random ones */
      if (info.type == KQ_FLOAT32) {
        const float value = (float)(noise >> 8) / (float)(1u << 24);
        memcpy(stored + position, &value, sizeof value);
      } else {
        stored[position] = (uint8_t)(noise >> 24);
      }
    }
  }
}

static int by_value(const void *a, const void *b) {
  const double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

static double median(double *values, size_t count) {
  qsort(values, count, sizeof *values, by_value);
  return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static double time_example(const loaded_model *model) {
  fill_inputs(model);
  const double start = seconds();
  kq_invoke(model->network, model->arena);
  return seconds() - start;
}

static long choose_runs(const loaded_model *model) {
  double fastest = time_example(model);
  for (int i = 0; i < 3; ++i) { /* the first run fetches the weights */
    const double again = time_example(model);
    if (again < fastest) fastest = again;
  }
  const double fitting = fastest > 0 ? SECONDS / fastest : (double)MOST_RUNS;
  return fitting < (double)LEAST_RUNS ? LEAST_RUNS : fitting > (double)MOST_RUNS ? MOST_RUNS : (long)fitting;
}

/* times[i * runs + r]: seconds of operator i in run r. */
static void time_operators(const loaded_model *model, size_t runs, double *times) {
  for (size_t r = 0; r < runs; ++r) {
    fill_inputs(model);
    double before = seconds();
    for (uint32_t i = 0; i < kq_operators(model->network); ++i) {
      kq_invoke_operator(model->network, i, model->arena);
      const double after = seconds();
      times[i * runs + r] = after - before;
      before = after;
    }
  }
}

static void print_operators(const loaded_model *model, size_t runs) {
  const uint32_t operators = kq_operators(model->network);
  double *const times = allocate(operators * runs, sizeof *times);
  double total = 0;
  time_operators(model, runs, times);
  for (uint32_t i = 0; i < operators; ++i) total += times[i] = median(times + i * runs, runs);
  printf("%5s  %-15s %9s %6s %12s %8s  %-24s  output\n", "#", "operator", "us", "share", "MACs", "GMAC/s", "kernel");
  for (uint32_t i = 0; i < operators; ++i) {
    const kq_operator_info info = kq_describe_operator(model->network, i);
    printf("%5lu  %-15s %9.1f %5.1f%% %12llu %8.2f  %-24s  ", (unsigned long)i, kind_name(info.kind), 1e6 * times[i],
           total > 0 ? 100 * times[i] / total : 0, (unsigned long long)info.macs,
           times[i] > 0 ? 1e-9 * (double)info.macs / times[i] : 0, info.kernel);
    print_name(kq_describe_tensor(model->network, info.output).name);
    printf("\n");
  }
  free(times);
}

/* Stored values of one example, as the inputs are, and room for its outputs. */
typedef struct {
  void **inputs, **outputs;
} one_example;

static one_example example_of(const loaded_model *model) {
  const kq_network *const network = model->network;
  const uint32_t inputs = kq_inputs(network), outputs = kq_outputs(network);
  one_example example = {allocate(inputs, sizeof(void *)), allocate(outputs, sizeof(void *))};
  fill_inputs(model);
  for (uint32_t i = 0; i < inputs; ++i) {
    const size_t bytes = kq_describe_tensor(network, kq_input(network, i)).bytes;
    example.inputs[i] = allocate(bytes, 1);
    memcpy(example.inputs[i], kq_tensor_data(network, kq_input(network, i), model->arena), bytes);
  }
  for (uint32_t i = 0; i < outputs; ++i) {
    example.outputs[i] = allocate(kq_describe_tensor(network, kq_output(network, i)).bytes, 1);
  }
  return example;
}

static double time_run(const loaded_model *model, const one_example *example, kq_team *team) {
  const double start = seconds();
  kq_native_run(model->network, team, model->arena, (const void *const *)example->inputs, example->outputs, 1);
  return seconds() - start;
}

/* One thread and all of them in turn, so that what disturbs strikes both. */
static void print_team(const loaded_model *model, size_t runs) {
  double *const alone = allocate(3 * runs, sizeof *alone), *const together = alone + runs, *const ratio = together + runs;
  one_example example = example_of(model);
  for (size_t r = 0; r < runs; ++r) {
    alone[r] = time_run(model, &example, NULL);
    together[r] = time_run(model, &example, model->team);
    ratio[r] = together[r] / alone[r];
  }
  const double middle = median(ratio, runs);
  printf("%lu threads: %.1f us; one thread in turn with them: %.1f us; ratio %.3f (quartiles %.3f .. %.3f)\n",
         (unsigned long)model->threads, 1e6 * median(together, runs), 1e6 * median(alone, runs), middle, ratio[runs / 4],
         ratio[3 * runs / 4]);
  for (uint32_t i = 0; i < kq_inputs(model->network); ++i) free(example.inputs[i]);
  for (uint32_t i = 0; i < kq_outputs(model->network); ++i) free(example.outputs[i]);
  free(example.inputs);
  free(example.outputs);
  free(alone);
}

int bench(const command_line *options) {
  loaded_model model;
  if (!open_model(&model, options, 0)) return 1;
  if (!give_arena(&model)) {
    close_model(&model);
    return 1;
  }
  const long chosen = choose_runs(&model);
  const size_t runs = (size_t)(options->runs > 0 ? options->runs : chosen);
  double *const times = allocate(runs, sizeof *times);
  uint64_t macs = 0;
  for (uint32_t i = 0; i < kq_operators(model.network); ++i) macs += kq_describe_operator(model.network, i).macs;
  for (size_t r = 0; r < runs; ++r) times[r] = time_example(&model);
  const double middle = median(times, runs); /* sorts them */
  printf("%s kernels, one thread: %.1f us, the median of %lu runs (fastest %.1f, slowest %.1f); %llu MACs, %.2f GMAC/s\n",
         model.isa, 1e6 * middle, (unsigned long)runs, 1e6 * times[0], 1e6 * times[runs - 1], (unsigned long long)macs,
         middle > 0 ? 1e-9 * (double)macs / middle : 0);
  if (model.team != NULL) print_team(&model, runs);
  print_operators(&model, runs);
  free(times);
  close_model(&model);
  return 0;
}
