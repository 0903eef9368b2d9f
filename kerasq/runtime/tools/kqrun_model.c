/* Files and models of kqrun. */
#if defined(__unix__) || defined(__APPLE__)
#define POSIX_FILES 1
#define _XOPEN_SOURCE 700 /* realpath, mkstemp, fchmod */
#endif

#include "kqrun.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef POSIX_FILES
#include <sys/stat.h>
#include <unistd.h>
#endif

#define STATE_ALIGNMENT 64u

void fail(const char *what, const char *format, ...) {
  va_list arguments;
  fprintf(stderr, "kqrun: %s: ", what);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
}

void *allocate(size_t count, size_t item_bytes) {
  void *const memory = calloc(count > 0 ? count : 1, item_bytes > 0 ? item_bytes : 1);
  if (memory == NULL) {
    fail("memory", "%lu times %lu bytes are not to be had", (unsigned long)count, (unsigned long)item_bytes);
    exit(1);
  }
  return memory;
}

static void *align(void *memory, size_t alignment) {
  const uintptr_t address = (uintptr_t)memory;
  return (uint8_t *)memory + (alignment - address % alignment) % alignment;
}

/* Reads to the end, whatever the size: `path` may be a pipe. Memory is aligned as malloc does it: mostly to 16, which is fast, or
 * to 8, which will do. */
void *read_file(const char *path, size_t *bytes) {
  FILE *const file = fopen(path, "rb");
  if (file == NULL) {
    fail(path, "%s", strerror(errno));
    return NULL;
  }
  size_t room = 1u << 16, used = 0, got;
  uint8_t *content = allocate(room, 1);
  while ((got = fread(content + used, 1, room - used, file)) > 0) {
    used += got;
    if (used == room) {
      uint8_t *const larger = realloc(content, room *= 2);
      if (larger == NULL) break;
      content = larger;
    }
  }
  const bool complete = feof(file) && !ferror(file);
  if (!complete) fail(path, "%s", strerror(errno));
  fclose(file);
  if (complete) {
    *bytes = used;
    return content;
  }
  free(content);
  return NULL;
}

static bool fill(FILE *file, const void *content, size_t bytes) {
  const bool written = file != NULL && fwrite(content, 1, bytes, file) == bytes;
  return file != NULL && fclose(file) == 0 && written;
}

#ifdef POSIX_FILES

/* A file beside `target`, named shortly, as the target's name may be as long as names can be; its name is in `name`. */
static FILE *open_beside(const char *target, char *name) {
  static const char pattern[] = ".kqrun-XXXXXX";
  const char *const slash = strrchr(target, '/');
  const size_t folder = slash == NULL ? 0 : (size_t)(slash - target) + 1;
  memcpy(name, target, folder);
  strcpy(name + folder, pattern);
  const int descriptor = mkstemp(name);
  return descriptor < 0 ? NULL : fdopen(descriptor, "wb");
}

/* Whole: under another name first, which becomes the target's; a file that exists keeps its mode. */
static bool replace_file(const char *target, const struct stat *before, const void *content, size_t bytes) {
  char *const name = allocate(strlen(target) + sizeof ".kqrun-XXXXXX", 1);
  const mode_t mask = umask(0);
  umask(mask);
  FILE *const file = open_beside(target, name);
  bool written = file != NULL && fchmod(fileno(file), before != NULL ? before->st_mode & 07777u : 0666u & ~mask) == 0;
  written = fill(file, content, bytes) && written && rename(name, target) == 0;
  if (!written && file != NULL) {
    const int reason = errno;
    unlink(name);
    errno = reason;
  }
  free(name);
  return written;
}

/* Devices and pipes are written to, of a link its target. */
static bool write_content(const char *path, const void *content, size_t bytes) {
  struct stat before;
  const bool exists = stat(path, &before) == 0;
  if (exists && !S_ISREG(before.st_mode)) return fill(fopen(path, "wb"), content, bytes);
  if (exists && access(path, W_OK) != 0) return false;
  char *const target = exists ? realpath(path, NULL) : NULL;
  if (exists && target == NULL) return false;
  if (!exists && lstat(path, &before) == 0) return fill(fopen(path, "wb"), content, bytes); /* a link to nothing yet */
  const bool written = replace_file(exists ? target : path, exists ? &before : NULL, content, bytes);
  free(target);
  return written;
}

#else

static bool write_content(const char *path, const void *content, size_t bytes) {
  static const char suffix[] = ".tmp";
  char *const temporary = allocate(strlen(path) + sizeof suffix, 1);
  strcat(strcpy(temporary, path), suffix);
  bool written = fill(fopen(temporary, "wb"), content, bytes);
  if (written) remove(path); /* on Windows, rename does not replace */
  written = written && rename(temporary, path) == 0;
  if (!written) remove(temporary);
  free(temporary);
  return written;
}

#endif

bool write_file(const char *path, const void *content, size_t bytes) {
  if (write_content(path, content, bytes)) return true;
  fail(path, "%s", strerror(errno));
  return false;
}

static kq_status prepare(loaded_model *model, const kq_kernels *kernels, kq_error *error) {
  kq_status status = KQ_STATE_TOO_SMALL;
  void *state = NULL;
  model->state_bytes = 0;
  while (status == KQ_STATE_TOO_SMALL) { /* how much kernels need is known when there is room for the operators */
    status = kq_prepare(model->content, model->bytes, kernels, state, &model->state_bytes, &model->network, error);
    if (status == KQ_STATE_TOO_SMALL) {
      if (model->state_bytes > model->max_bytes) return status;
      free(model->state_memory);
      model->state_memory = allocate(model->state_bytes + STATE_ALIGNMENT, 1);
      state = align(model->state_memory, STATE_ALIGNMENT);
    }
  }
  return status;
}

static void refuse_size(const char *path, size_t bytes, size_t max_bytes) {
  fail(path, "the network takes %lu bytes of memory, more than --max_bytes=%lu allows: if you trust the file, allow more",
       (unsigned long)bytes, (unsigned long)max_bytes);
}

bool open_model(loaded_model *model, const command_line *options, int number) {
  const char *const path = options->files[number];
  kq_error error = {KQ_OK, -1, -1};
  memset(model, 0, sizeof *model);
  model->path = path;
  model->max_bytes = options->max_bytes;
  model->content = read_file(path, &model->bytes);
  if (model->content == NULL) return false;
  const kq_kernels *const kernels = kq_native_kernels(options->isa, &model->isa);
  const kq_status status = prepare(model, kernels, &error);
  if (status == KQ_STATE_TOO_SMALL) {
    refuse_size(path, model->state_bytes, model->max_bytes);
    close_model(model);
    return false;
  }
  if (status != KQ_OK) {
    char place[64] = "";
    if (error.operator_index >= 0) sprintf(place, "operator %ld: ", (long)error.operator_index);
    if (error.tensor_index >= 0) sprintf(place + strlen(place), "tensor %ld: ", (long)error.tensor_index);
    fail(path, "%s%s", place, kq_status_text(status));
    close_model(model);
    return false;
  }
  model->threads = kq_native_threads(model->network, options->threads);
  return true;
}

bool give_arena(loaded_model *model) {
  const size_t alignment = kq_arena_alignment(model->network) < STATE_ALIGNMENT ? STATE_ALIGNMENT : kq_arena_alignment(model->network);
  const size_t arena_bytes = kq_native_arena_bytes(model->network, model->threads), bytes = model->state_bytes + arena_bytes;
  if (bytes > model->max_bytes) {
    refuse_size(model->path, bytes, model->max_bytes);
    return false;
  }
  model->arena_memory = allocate(arena_bytes + alignment, 1);
  model->arena = align(model->arena_memory, alignment);
  model->team = kq_native_team(model->threads, 0);
  return true;
}

void close_model(loaded_model *model) {
  kq_native_dismiss(model->team);
  free(model->arena_memory);
  free(model->state_memory);
  free(model->content);
}

const char *kind_name(kq_kind kind) {
#define KIND_NAME(KIND, kind) [KQ_##KIND] = #KIND,
  static const char *const names[KQ_KINDS] = {KQ_EACH_KIND(KIND_NAME)};
  return names[kind];
}

void print_format(const kq_tensor_info *info) {
#define TYPE_NAME(TYPE) [KQ_##TYPE] = #TYPE,
  static const char *const names[KQ_TYPES] = {KQ_EACH_TYPE(TYPE_NAME)};
  printf("%s", names[info->type]);
  if (info->type != KQ_FLOAT32 && info->type != KQ_SIGN) printf("_%d", info->frac_bits);
}

void print_name(const char *name) {
  for (; *name != '\0'; ++name) {
    const unsigned char byte = (unsigned char)*name;
    if (byte >= 0x20 && byte < 0x7f) {
      putchar(byte);
    } else {
      printf("\\x%02x", byte);
    }
  }
}
