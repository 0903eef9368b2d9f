/* A plugin of QEMU that counts what instructions do, between every second pair of calls of one function:
 *
 *     -plugin counter.so,out=FILE,mark=ADDRESS
 *
 * It writes, for the instructions between the first call of the function at ADDRESS and the second, between the third and the
 * fourth ..., records of six numbers of 64 bits: address, times executed (skipped ones of an IT block included), times entered by a
 * jump, times it jumped itself (only the last instruction of a block of code can), accesses to memory, and additional accesses
 * that unaligned addresses make (two bytes at an odd one: 1; four at an even one: 1, at an odd one: 2). A record of address 0 ends
 * a pair.
 *
 * QEMU's header qemu-plugin.h belongs to no package of Debian's: what is used of version 1 of that interface (QEMU 4.2 to 8.1) is
 * declared here. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_RW = 3 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*call)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*call)(unsigned, void *),
                                          enum qemu_plugin_cb_flags flags, void *argument);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
                                      void (*call)(unsigned, qemu_plugin_meminfo_t, uint64_t, void *),
                                      enum qemu_plugin_cb_flags flags, enum qemu_plugin_mem_rw rw, void *argument);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*call)(qemu_plugin_id_t, void *), void *argument);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
unsigned int qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

struct record {
  uint64_t address, executed, entered, jumped, accesses, unaligned;
};

struct entry {
  struct record record;
  struct entry *next;
};

/* A block of code as QEMU translated it; the same instructions may be in several. */
struct block {
  uint64_t start, end;
  size_t count;
  struct entry *instructions[];
};

#define BUCKETS 65536
static struct entry *buckets[BUCKETS];
static FILE *output;
static uint64_t mark;
static uint64_t marks;
static const struct block *previous;

static void *allocated(size_t bytes) {
  void *const memory = calloc(1, bytes);
  if (memory == NULL) abort();
  return memory;
}

static struct entry *entry_of(uint64_t address) {
  struct entry **place = &buckets[(address >> 1) % BUCKETS];
  while (*place != NULL && (*place)->record.address != address) place = &(*place)->next;
  if (*place == NULL) {
    *place = allocated(sizeof **place);
    (*place)->record.address = address;
  }
  return *place;
}

/* Writes what was counted, where `keep` says so, and begins anew. */
static void flush(int keep) {
  for (size_t bucket = 0; bucket < BUCKETS; ++bucket) {
    for (struct entry *entry = buckets[bucket]; entry != NULL; entry = entry->next) {
      if (entry->record.executed != 0 && keep) fwrite(&entry->record, sizeof entry->record, 1, output);
      entry->record = (struct record){.address = entry->record.address};
    }
  }
  const struct record end = {0};
  if (keep) fwrite(&end, sizeof end, 1, output);
}

static void on_block(unsigned cpu, void *argument) {
  (void)cpu;
  const struct block *const block = argument;
  if (previous != NULL && previous->end != block->start) {
    ++previous->instructions[previous->count - 1]->record.jumped;
    ++block->instructions[0]->record.entered;
  }
  if (block->start == mark) {
    flush(marks % 2 == 1);
    ++marks;
  }
  for (size_t i = 0; i < block->count; ++i) ++block->instructions[i]->record.executed;
  previous = block;
}

static void on_access(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *argument) {
  (void)cpu;
  struct record *const record = &((struct entry *)argument)->record;
  const unsigned shift = qemu_plugin_mem_size_shift(info);
  ++record->accesses;
  if (shift == 1) record->unaligned += address % 2;
  if (shift == 2 && address % 4 != 0) record->unaligned += 1 + address % 2;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
  (void)id;
  const size_t count = qemu_plugin_tb_n_insns(tb);
  struct block *const block = allocated(sizeof *block + count * sizeof block->instructions[0]);
  block->count = count;
  for (size_t i = 0; i < count; ++i) {
    struct qemu_plugin_insn *const insn = qemu_plugin_tb_get_insn(tb, i);
    block->instructions[i] = entry_of(qemu_plugin_insn_vaddr(insn));
    block->end = qemu_plugin_insn_vaddr(insn) + qemu_plugin_insn_size(insn);
    qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, block->instructions[i]);
  }
  block->start = block->instructions[0]->record.address;
  qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, block);
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *argument) {
  (void)id;
  (void)argument;
  fclose(output);
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
  (void)info;
  for (int i = 0; i < argc; ++i) {
    if (strncmp(argv[i], "out=", 4) == 0) output = fopen(argv[i] + 4, "wb");
    if (strncmp(argv[i], "mark=", 5) == 0) mark = strtoull(argv[i] + 5, NULL, 0);
  }
  if (output == NULL) return -1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
  return 0;
}
