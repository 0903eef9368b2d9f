/* What the parts of kqrun share. */
#ifndef KQRUN_H
#define KQRUN_H

#include <stdbool.h>

#include "kerasq.h"
#include "kerasq_native.h"

/* The command line behind the command. */
typedef struct {
  const char **files; /* the model first */
  const char **outputs;
  int file_count, output_count;
  const char *isa; /* NULL: the fastest */
  long runs;       /* 0: as many as take about a second */
  size_t max_bytes; /* what state and arena may take together */
  uint32_t threads; /* for one example; 0: 1 */
} command_line;

/* A model file, prepared, and memory to run it in. */
typedef struct {
  const char *path;
  void *content;
  size_t bytes;
  void *state_memory, *arena_memory; /* as allocated; state and arena are aligned inside */
  size_t state_bytes, max_bytes;
  void *arena; /* from give_arena on */
  const kq_network *network;
  const char *isa;
  uint32_t threads; /* of those asked for, as many as the network gains by */
  kq_team *team;    /* of as many, from give_arena on; NULL for one */
} loaded_model;

/* One line on stderr: what it concerns, and what is wrong. */
void fail(const char *what, const char *format, ...);

/* Zeroed memory; ends the program where there is none. */
void *allocate(size_t count, size_t item_bytes);

/* The bytes of a file, or NULL after a message. */
void *read_file(const char *path, size_t *bytes);

/* Whole or not at all: false after a message. */
bool write_file(const char *path, const void *content, size_t bytes);

/* False after a message; then there is nothing to close. */
bool open_model(loaded_model *model, const command_line *options, int file);
bool give_arena(loaded_model *model); /* false after a message */
void close_model(loaded_model *model);

const char *kind_name(kq_kind kind);
void print_format(const kq_tensor_info *info);
void print_name(const char *name); /* with everything a terminal might obey escaped */

int bench(const command_line *options);

#endif
