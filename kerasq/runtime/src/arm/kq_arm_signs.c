#include "kq_arm_places.h"
#include "kq_arm_signs.h"

#ifdef KQ_ARM_ASSEMBLY

#define ALL "#72" /* in kq_arm_block */
typedef char all_is_right[offsetof(kq_arm_block, all) == 72 ? 1 : -1];

KQ_NAKED void kq_arm_copy_inputs(uint32_t *inputs KQ_UNUSED, const uint8_t *pixels[KQ_ARM_SIGN_PIXELS] KQ_UNUSED,
                                 uint32_t mask KQ_UNUSED) {
  __asm__("push {r4-r11, lr}\n"
          "add r12, r1, #32\n"
          "1:\n"
          "ldr r3, [r1]\n"
          "ldmia r3!, {r4-r11}\n"
          "str r3, [r1], #4\n"
          "cbz r2, 2f\n"
          "eor r4, r2\n"
          "eor r5, r2\n"
          "eor r6, r2\n"
          "eor r7, r2\n"
          "eor r8, r2\n"
          "eor r9, r2\n"
          "eor r10, r2\n"
          "eor r11, r2\n"
          "2:\n"
          "stmia r0!, {r4-r11}\n"
          "cmp r1, r12\n"
          "bne 1b\n"
          "pop {r4-r11, pc}\n");
}

/* Four inputs of two pixels, 32 bytes apart, as pairs of halfwords a to d. */
#define PAIRS(first, second, a, b, c, d)                     \
  "ldr r10, [r1, " first "]\n"                               \
  "ldr r11, [r1, " second "]\n"                              \
  "uxtb16 " d ", r10\n"                                      \
  "uxtb16 " b ", r11\n"                                      \
  "uxtb16 r10, r10, ror #8\n"                                \
  "uxtb16 r11, r11, ror #8\n"                                \
  "pkhbt " a ", " d ", " b ", lsl #16\n"                     \
  "pkhtb " c ", " b ", " d ", asr #16\n"                     \
  "pkhbt " b ", r10, r11, lsl #16\n"                         \
  "pkhtb " d ", r11, r10, asr #16\n"
#define ENTRY(a, b, entry) "str " a ", [r0, #16*" entry "]\nstr " b ", [r0, #16*" entry "+4]\n" /* STRD is slower */
#define SUM(a, b, c, d, entry) "add r10, " a ", " b "\nadd r11, " c ", " d "\n" ENTRY("r10", "r11", entry)
#define MORE(a, b, entry) "add r10, " a "\nadd r11, " b "\n" ENTRY("r10", "r11", entry)
#define LESS(a, b, entry) "sub r10, " a "\nsub r11, " b "\n" ENTRY("r10", "r11", entry)

/* Four of the pixels; sums in an order in which most differ from the one before by one input. */
KQ_NAKED static void make_half(uint32_t *tables KQ_UNUSED, const uint32_t *inputs KQ_UNUSED) {
  __asm__("push {r4-r11, lr}\n"
          "add lr, r1, #32\n"
          "1:\n" PAIRS("#0", "#32", "r2", "r3", "r4", "r5") PAIRS("#64", "#96", "r6", "r7", "r8", "r9")
          ENTRY("r2", "r6", "1") ENTRY("r3", "r7", "2") ENTRY("r4", "r8", "4") ENTRY("r5", "r9", "8")
          SUM("r2", "r3", "r6", "r7", "3") MORE("r4", "r8", "7") LESS("r3", "r7", "5") MORE("r5", "r9", "13")
          MORE("r3", "r7", "15") LESS("r2", "r6", "14") LESS("r4", "r8", "10") MORE("r2", "r6", "11") LESS("r3", "r7", "9")
          SUM("r3", "r4", "r7", "r8", "6") SUM("r4", "r5", "r8", "r9", "12")
          "add r0, #256\n"
          "adds r1, #4\n"
          "cmp r1, lr\n"
          "bne 1b\n"
          "pop {r4-r11, pc}\n");
}

void kq_arm_make_tables(uint32_t *tables, const uint32_t *inputs) {
  make_half(tables, inputs);
  make_half(tables + KQ_ARM_FIELD_WORDS / 2, inputs + KQ_ARM_SIGN_PIXELS * KQ_ARM_SIGN_INPUTS / 8);
}

/* Four bits of weights: 32 multiply-accumulates in 8 instructions. */
#define LOOK(bit, table, low, high)          \
  "ubfx r8, lr, #" bit ", #4\n"              \
  "add r8, " table ", r8, lsl #4\n"          \
  "ldrd r10, r11, [r8, #" high "]\n"         \
  "ldrd r8, r9, [r8, #" low "]\n"            \
  "add r4, r8\n"                             \
  "add r5, r9\n"                             \
  "add r6, r10\n"                            \
  "add r7, r11\n"

KQ_NAKED void kq_arm_look_up(const uint32_t *tables KQ_UNUSED, const uint8_t *weights KQ_UNUSED, size_t stride KQ_UNUSED,
                             uint32_t *fields KQ_UNUSED, const uint32_t *end KQ_UNUSED) {
  __asm__("push {r4-r11, lr}\n"
          "add r12, r0, #1024\n"
          "1:\n"
          "ldr lr, [r1]\n"
          "add r1, r2\n"
          "ldmia r3, {r4-r7}\n"
          LOOK("0", "r0", "0", "8") LOOK("4", "r0", "256", "264") LOOK("8", "r0", "512", "520") LOOK("12", "r0", "768", "776")
          LOOK("16", "r12", "0", "8") LOOK("20", "r12", "256", "264") LOOK("24", "r12", "512", "520") LOOK("28", "r12", "768", "776")
          "stmia r3!, {r4-r7}\n"
          "ldr r8, [sp, #36]\n"
          "cmp r3, r8\n"
          "bne 1b\n"
          "pop {r4-r11, pc}\n");
}

#define LOAD_ALL "add lr, r10, " ALL "\nldmia lr, {r6-r9}\n"
#define DOUBLE(sum, all) "rsb " sum ", " all ", " sum ", lsl #1\n"
#define LOAD_FIELDS                          \
  "ldrd r1, r3, [r12], #16\n"                \
  "uxth r0, r1\n"                            \
  "lsr r1, r1, #16\n"                        \
  "uxth r2, r3\n"                            \
  "lsr r3, r3, #16\n"
#define LOAD_TOTALS "ldmia r12!, {r0-r3}\n"

#define FINISH_SUMS(name, type, next, load)                                                                             \
  KQ_NAKED void name(kq_arm_block *block KQ_UNUSED, type *sums KQ_UNUSED) {                                             \
    __asm__("push {r3-r11, lr}\n"                                                                                       \
            "mov r10, r0\n"                                                                                             \
            "mov r12, r1\n"                                                                                             \
            "ldr r1, =" next "\n"                                                                                       \
            "str r1, [r10, " NEXT "]\n"                                                                                 \
            "1:\n" LOAD_ALL load DOUBLE("r0", "r6") DOUBLE("r1", "r7") DOUBLE("r2", "r8") DOUBLE("r3", "r9")            \
            "ldr pc, [r10, " FINISH "]\n"                                                                               \
            ".thumb_func\n"                                                                                             \
            ".type " next ", %function\n"                                                                               \
            next ":\n"                                                                                                  \
            "ldr r4, [r10, " LEFT "]\n"                                                                                 \
            "subs r4, #1\n"                                                                                             \
            "str r4, [r10, " LEFT "]\n"                                                                                 \
            "bne 1b\n"                                                                                                  \
            "pop {r3-r11, pc}\n"                                                                                        \
            ".ltorg\n");                                                                                                \
  }
FINISH_SUMS(kq_arm_finish_fields, const uint32_t, "kq_arm_next_fields", LOAD_FIELDS)
FINISH_SUMS(kq_arm_finish_totals, const int32_t, "kq_arm_next_totals", LOAD_TOTALS)

#else

void kq_arm_copy_inputs(uint32_t *inputs, const uint8_t *pixels[KQ_ARM_SIGN_PIXELS], uint32_t mask) {
  for (int pixel = 0; pixel < KQ_ARM_SIGN_PIXELS; ++pixel) {
    for (int i = 0; i < KQ_ARM_SIGN_INPUTS; i += 4, pixels[pixel] += 4) *inputs++ = kq_load_word(pixels[pixel]) ^ mask;
  }
}

void kq_arm_make_tables(uint32_t *tables, const uint32_t *inputs) {
  const int stride = KQ_ARM_SIGN_INPUTS / 4;
  for (int group = 0; group < stride; ++group) {
    for (int word = 0; word < KQ_ARM_FIELD_WORDS; ++word) {
      uint32_t *entries = tables + group * KQ_ARM_ENTRIES * KQ_ARM_FIELD_WORDS + word;
      const uint32_t a = inputs[2 * word * stride + group], b = inputs[(2 * word + 1) * stride + group];
      for (int n = 1; n < KQ_ARM_ENTRIES; ++n) {
        uint32_t fields = 0;
        for (int i = 0; i < 4; ++i) {
          if (n >> i & 1) fields += (a >> (8 * i) & 0xFFu) + ((b >> (8 * i) & 0xFFu) << 16);
        }
        entries[n * KQ_ARM_FIELD_WORDS] = fields;
      }
    }
  }
}

void kq_arm_look_up(const uint32_t *tables, const uint8_t *weights, size_t stride, uint32_t *fields, const uint32_t *end) {
  for (; fields != end; fields += KQ_ARM_FIELD_WORDS, weights += stride) {
    const uint32_t bits = kq_load_word(weights);
    for (uint32_t group = 0; group < 8; ++group) {
      const uint32_t *entry = tables + (group * KQ_ARM_ENTRIES + (bits >> (4 * group) & 15u)) * KQ_ARM_FIELD_WORDS;
      for (int word = 0; word < KQ_ARM_FIELD_WORDS; ++word) fields[word] += entry[word];
    }
  }
}

static void finish(kq_arm_block *block, const uint32_t ones[KQ_ARM_PIXELS]) {
  for (int pixel = 0; pixel < KQ_ARM_PIXELS; ++pixel) block->sums[pixel] = 2 * (int32_t)ones[pixel] - block->all[pixel];
  block->finish(block);
}

void kq_arm_finish_fields(kq_arm_block *block, const uint32_t *fields) {
  for (; block->left > 0; --block->left, fields += KQ_ARM_FIELD_WORDS) {
    const uint32_t ones[] = {fields[0] & 0xFFFFu, fields[0] >> 16, fields[1] & 0xFFFFu, fields[1] >> 16};
    finish(block, ones);
  }
}

void kq_arm_finish_totals(kq_arm_block *block, const int32_t *totals) {
  for (; block->left > 0; --block->left, totals += KQ_ARM_PIXELS) {
    const uint32_t ones[] = {(uint32_t)totals[0], (uint32_t)totals[1], (uint32_t)totals[2], (uint32_t)totals[3]};
    finish(block, ones);
  }
}

#endif
