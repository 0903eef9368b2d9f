/* kqrun: runs, measures and checks .kq files with the runtime alone, no Python. Files of tensors hold stored values as they lie
 * in memory, examples one after the other. Exit status: 0 done, 1 failed (one line on stderr), 2 wrong usage. */
#include "kqrun.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: kqrun info MODEL                                what is in a .kq file, and what computes it here\n"
    "       kqrun verify MODEL ...                          whether files keep the rules of the format\n"
    "       kqrun run MODEL INPUT ... --output OUTPUT ...   compute; a file of stored values for each input and output\n"
    "       kqrun bench MODEL [--runs N]                    latency, and the time of each operator\n"
    "       kqrun selftest MODEL                            compute the embedded test vector, compare every tensor\n"
    "       --num_threads N                                 run, bench: threads for one example of a large network; default: 1\n"
    "       --isa portable|avx2|avx512vnni|neon|dotprod     kernels to use; default: KERASQ_ISA, else this processor's fastest\n"
    "       --max_bytes N                                   memory that a network may take; default: 1 GiB\n";

#define MOST_THREADS 64 /* of a team (kq_team.c) */

static int wrong_usage(const char *what, const char *which) {
  fprintf(stderr, "kqrun: %s%s\n%s", what, which, usage);
  return 2;
}

static void print_end(const kq_network *network, const char *end, const char *name, uint32_t tensor) {
  const kq_tensor_info info = kq_describe_tensor(network, tensor);
  printf("%-7s ", end);
  print_name(name);
  printf(", ");
  print_format(&info);
  for (uint32_t axis = 0; axis < info.rank; ++axis) printf("%s%lu", axis ? "x" : " ", (unsigned long)info.shape[axis]);
  printf(", %lu bytes\n", (unsigned long)info.bytes);
}

static int info(const command_line *options) {
  loaded_model model;
  if (!open_model(&model, options, 0)) return 1;
  const kq_network *const network = model.network;
  uint64_t macs = 0;
  printf("model   %lu bytes\narena   %lu bytes, aligned to %lu\nstate   %lu bytes\nkernels %s\n", (unsigned long)model.bytes,
         (unsigned long)kq_arena_bytes(network), (unsigned long)kq_arena_alignment(network), (unsigned long)model.state_bytes,
         model.isa);
  for (uint32_t i = 0; i < kq_inputs(network); ++i) print_end(network, "input", kq_input_name(network, i), kq_input(network, i));
  for (uint32_t i = 0; i < kq_outputs(network); ++i) {
    print_end(network, "output", kq_output_name(network, i), kq_output(network, i));
  }
  printf("%5s  %-15s %12s  %-24s  output\n", "#", "operator", "MACs", "kernel");
  for (uint32_t i = 0; i < kq_operators(network); ++i) {
    const kq_operator_info operator_info = kq_describe_operator(network, i);
    printf("%5lu  %-15s %12llu  %-24s  ", (unsigned long)i, kind_name(operator_info.kind), (unsigned long long)operator_info.macs,
           operator_info.kernel);
    print_name(kq_describe_tensor(network, operator_info.output).name);
    printf("\n");
    macs += operator_info.macs;
  }
  printf("total  %-15s %12llu\n", "", (unsigned long long)macs);
  close_model(&model);
  return 0;
}

static int verify(const command_line *options) {
  int status = 0;
  for (int i = 0; i < options->file_count; ++i) {
    loaded_model model;
    if (open_model(&model, options, i)) {
      printf("%s: ok\n", options->files[i]);
      close_model(&model);
    } else {
      status = 1;
    }
  }
  return status;
}

/* Stored values of some examples of each input, and room for those of each output. */
typedef struct {
  const void **inputs;
  void **outputs;
  size_t examples;
} example_batch;

static bool read_input(const loaded_model *model, const char *path, uint32_t index, example_batch *batch) {
  const size_t example_bytes = kq_describe_tensor(model->network, kq_input(model->network, index)).bytes;
  size_t bytes;
  void *const content = read_file(path, &bytes);
  if (content == NULL) return false;
  batch->inputs[index] = content;
  if (bytes == 0 || bytes % example_bytes != 0) {
    fail(path, "%lu bytes: input %lu takes %lu for each example", (unsigned long)bytes, (unsigned long)index,
         (unsigned long)example_bytes);
    return false;
  }
  if (index > 0 && bytes / example_bytes != batch->examples) {
    fail(path, "%lu examples, but the first input has %lu", (unsigned long)(bytes / example_bytes), (unsigned long)batch->examples);
    return false;
  }
  batch->examples = bytes / example_bytes;
  return true;
}

static bool compute(loaded_model *model, const command_line *options, example_batch *batch) {
  const kq_network *const network = model->network;
  const uint32_t inputs = kq_inputs(network), outputs = kq_outputs(network);
  if ((uint32_t)options->file_count - 1 != inputs || (uint32_t)options->output_count != outputs) {
    fail(options->files[0], "the network has %lu inputs and %lu outputs; given were %d and %d files", (unsigned long)inputs,
         (unsigned long)outputs, options->file_count - 1, options->output_count);
    return false;
  }
  for (uint32_t i = 0; i < inputs; ++i) {
    if (!read_input(model, options->files[i + 1], i, batch)) return false;
  }
  for (uint32_t i = 0; i < outputs; ++i) {
    batch->outputs[i] = allocate(batch->examples, kq_describe_tensor(network, kq_output(network, i)).bytes);
  }
  if (!give_arena(model)) return false;
  kq_native_run(network, model->team, model->arena, batch->inputs, batch->outputs, batch->examples);
  for (uint32_t i = 0; i < outputs; ++i) {
    const size_t bytes = batch->examples * kq_describe_tensor(network, kq_output(network, i)).bytes;
    if (!write_file(options->outputs[i], batch->outputs[i], bytes)) return false;
  }
  return true;
}

static int run(const command_line *options) {
  loaded_model model;
  if (!open_model(&model, options, 0)) return 1;
  const uint32_t inputs = kq_inputs(model.network), outputs = kq_outputs(model.network);
  example_batch batch = {allocate(inputs, sizeof(void *)), allocate(outputs, sizeof(void *)), 0};
  const bool done = compute(&model, options, &batch);
  for (uint32_t i = 0; i < inputs; ++i) free((void *)(uintptr_t)batch.inputs[i]);
  for (uint32_t i = 0; i < outputs; ++i) free(batch.outputs[i]);
  free(batch.inputs);
  free(batch.outputs);
  close_model(&model);
  return done ? 0 : 1;
}

static int selftest(const command_line *options) {
  loaded_model model;
  kq_error error;
  const char *const path = options->files[0];
  if (!open_model(&model, options, 0)) return 1;
  if (!give_arena(&model)) {
    close_model(&model);
    return 1;
  }
  const kq_status status = kq_selftest(model.network, model.arena, &error);
  if (status == KQ_OK) {
    printf("%s: every tensor of the test vector is right with %s kernels\n", path, model.isa);
  } else if (status == KQ_TEST_FAILED) {
    const kq_operator_info culprit = kq_describe_operator(model.network, (uint32_t)error.operator_index);
    fail(path, "operator %ld, %s by %s, computes tensor %ld wrong", (long)error.operator_index, kind_name(culprit.kind),
         culprit.kernel, (long)error.tensor_index);
  } else {
    fail(path, "it has no test vector: kerasq-convert MODEL --embed_test random --output FILE adds one");
  }
  close_model(&model);
  return status == KQ_OK ? 0 : 1;
}

/* The commands, with the numbers of files that they take: model included, and outputs. */
static const struct {
  const char *name;
  int (*execute)(const command_line *);
  int least_files, most_files;
  bool takes_outputs;
} commands[] = {
    {"info", info, 1, 1, false},   {"verify", verify, 1, INT32_MAX, false},  {"run", run, 2, INT32_MAX, true},
    {"bench", bench, 1, 1, false}, {"selftest", selftest, 1, 1, false},
};

/* Whether argv[*i] is the flag `name`, as --name VALUE or --name=VALUE; then *value is the value, NULL where it is missing. */
static bool is_flag(char **argv, int argc, int *i, const char *name, const char **value) {
  const size_t length = strlen(name);
  if (strncmp(argv[*i], name, length) != 0) return false;
  if (argv[*i][length] == '=') {
    *value = argv[*i] + length + 1;
    return true;
  }
  if (argv[*i][length] != '\0') return false;
  *value = *i + 1 < argc ? argv[++*i] : NULL;
  return true;
}

/* 0, or the exit status of wrong usage. */
static int parse(int argc, char **argv, command_line *options) {
  for (int i = 2; i < argc; ++i) {
    const char *value = "";
    const char *const flag = argv[i];
    if (is_flag(argv, argc, &i, "--output", &value) || is_flag(argv, argc, &i, "-o", &value)) {
      options->outputs[options->output_count++] = value;
    } else if (is_flag(argv, argc, &i, "--isa", &value)) {
      options->isa = value;
    } else if (is_flag(argv, argc, &i, "--runs", &value)) {
      options->runs = value != NULL ? strtol(value, NULL, 10) : 0;
      if (options->runs < 1) return wrong_usage("--runs takes a number from 1 on", "");
    } else if (is_flag(argv, argc, &i, "--num_threads", &value)) {
      const long threads = value != NULL ? strtol(value, NULL, 10) : 0;
      if (threads < 1 || threads > MOST_THREADS) return wrong_usage("--num_threads takes a number from 1 to 64", "");
      options->threads = (uint32_t)threads;
    } else if (is_flag(argv, argc, &i, "--max_bytes", &value)) {
      const long long bytes = value != NULL ? strtoll(value, NULL, 10) : 0;
      if (bytes < 1) return wrong_usage("--max_bytes takes a number from 1 on", "");
      options->max_bytes = (unsigned long long)bytes > SIZE_MAX ? SIZE_MAX : (size_t)bytes;
    } else if (flag[0] == '-') {
      return wrong_usage("there is no flag ", flag);
    } else {
      options->files[options->file_count++] = flag;
    }
    if (value == NULL) return wrong_usage("a value is missing after ", flag);
  }
  return 0;
}

static bool choose_kernels(command_line *options) {
  if (options->isa == NULL) options->isa = getenv("KERASQ_ISA");
  if (options->isa != NULL && options->isa[0] == '\0') options->isa = NULL;
  if (kq_native_kernels(options->isa, NULL) != NULL) return true;
  char tiers[64] = "";
  for (uint32_t i = 0; kq_native_tier(i) != NULL; ++i) {
    const size_t used = strlen(tiers);
    snprintf(tiers + used, sizeof tiers - used, "%s%s", i > 0 ? ", " : "", kq_native_tier(i));
  }
  fail("--isa or KERASQ_ISA", "there are no kernels '%s' for this processor in this build; it has %s", options->isa, tiers);
  return false;
}

static int execute(int argc, char **argv, command_line *options) {
  const int wrong = parse(argc, argv, options);
  if (wrong != 0) return wrong;
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; ++i) {
    if (strcmp(argv[1], commands[i].name) != 0) continue;
    if (options->file_count < commands[i].least_files) return wrong_usage("too few files for ", argv[1]);
    if (options->file_count > commands[i].most_files) return wrong_usage("too many files for ", argv[1]);
    if (commands[i].takes_outputs != (options->output_count > 0)) {
      return wrong_usage(commands[i].takes_outputs ? "--output is missing after " : "--output is not for ", argv[1]);
    }
    if (options->runs != 0 && commands[i].execute != bench) return wrong_usage("--runs is not for ", argv[1]);
    if (options->threads != 0 && commands[i].execute != bench && commands[i].execute != run) {
      return wrong_usage("--num_threads is not for ", argv[1]);
    }
    return choose_kernels(options) ? commands[i].execute(options) : 1;
  }
  return wrong_usage("there is no command ", argv[1]);
}

int main(int argc, char **argv) {
  if (argc < 2) return wrong_usage("a command is expected", "");
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
    fputs(usage, stdout);
    return 0;
  }
  if (strcmp(argv[1], "--version") == 0) {
    printf("kqrun, for .kq files up to version %d\n", KQ_VERSION);
    return 0;
  }
  command_line options = {allocate((size_t)argc, sizeof(char *)), allocate((size_t)argc, sizeof(char *)), 0, 0, NULL, 0, (size_t)1 << 30, 0};
  const int status = execute(argc, argv, &options);
  free(options.files);
  free(options.outputs);
  if (fflush(stdout) != 0) {
    if (errno == EPIPE) return 141; /* who reads has seen enough: as where SIGPIPE ends the program */
    fail("standard output", "%s", strerror(errno));
    return 1;
  }
  return status;
}
