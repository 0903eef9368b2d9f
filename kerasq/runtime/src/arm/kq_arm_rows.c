#include "kq_arm_rows.h"

#ifdef KQ_ARM_ASSEMBLY

/* Places in kq_arm_row, all of four bytes. */
#define Y "#8" /* and next_pixel */
#define LEFT "#16" /* and next_input */
#define FINISH "#24"
#define NEXT "#44"
#define OFFSETS "#48" /* and their end */
#define GROUP_BYTES "#120"
typedef char places_are_right[offsetof(kq_arm_row, next) == 44 && sizeof(kq_arm_group) == 120 ? 1 : -1];

/* r0-r3 sums of channels 0 to 3, r12 columns, lr group. */
#define COLUMN(first, next)                  \
  "ldmia r12!, {r4-r7}\n"                    \
  "ldmia lr!, {r8-r11}\n"                    \
  first " r1, r4, r8" next("r1") "\n"        \
  first " r2, r5, r9" next("r2") "\n"        \
  first " r3, r6, r10" next("r3") "\n"       \
  first " r0, r7, r11" next("r0") "\n"       \
  "ldrd r4, r5, [r12], #8\n"                 \
  "ldrd r8, r9, [lr], #8\n"                  \
  "smlabb r0, r4, r8, r0\n"                  \
  "smlatt r2, r4, r8, r2\n"                  \
  "smlabb r1, r5, r9, r1\n"                  \
  "smlatt r3, r5, r9, r3\n"
#define NONE(sum) ""
#define SUM(sum) ", " sum

/* The sums go to row->finish by a jump, with the row in r9 and four kq_arm_channel at lr; it jumps to row->next, with r9, r12 and the
 * stack kept, and lr behind the channels. */
KQ_NAKED void kq_arm_depthwise_row(kq_arm_row *row KQ_UNUSED) {
  __asm__("push {r0, r4-r11, lr}\n"
          "ldrd r12, lr, [r0]\n"
          "ldr r1, =kq_arm_next_output\n"
          "str r1, [r0, " NEXT "]\n"
          "1:\n" COLUMN("smuad", NONE) COLUMN("smlad", SUM) COLUMN("smlad", SUM)
          "ldr r9, [sp]\n"
          "ldr pc, [r9, " FINISH "]\n"
          ".thumb_func\n"
          ".type kq_arm_next_output, %function\n"
          "kq_arm_next_output:\n"
          "ldrd r4, r5, [r9, " LEFT "]\n"
          "add r12, r5\n"
          "sub lr, " GROUP_BYTES "\n"
          "subs r4, #1\n"
          "str r4, [r9, " LEFT "]\n"
          "bne 1b\n"
          "pop {r0, r4-r11, pc}\n"
          ".ltorg\n");
}

/* r12 what offsets begin at, r10 the offsets, r11 their end. */
#define PAIRS_ROW(name, next, extend)                                                              \
  KQ_NAKED void name(kq_arm_row *row KQ_UNUSED) {                                                  \
    __asm__("push {r0, r4-r11, lr}\n"                                                              \
            "ldr r12, [r0]\n"                                                                      \
            "ldr r1, =" next "\n"                                                                  \
            "str r1, [r0, " NEXT "]\n"                                                             \
            "mov r9, r0\n"                                                                         \
            "1:\n"                                                                                 \
            "ldr lr, [r9, #4]\n"                                                                   \
            "ldrd r10, r11, [r9, " OFFSETS "]\n"                                                   \
            "movs r0, #0\n"                                                                        \
            "movs r1, #0\n"                                                                        \
            "movs r2, #0\n"                                                                        \
            "movs r3, #0\n"                                                                        \
            "2:\n"                                                                                 \
            "ldrd r4, r5, [r10], #8\n"                                                             \
            "ldr r4, [r12, r4]\n"                                                                  \
            "ldr r5, [r12, r5]\n"                                                                  \
            extend " r6, r4\n"                                                                     \
            extend " r7, r5\n"                                                                     \
            extend " r4, r4, ror #8\n"                                                             \
            extend " r5, r5, ror #8\n"                                                             \
            "pkhbt r8, r6, r7, lsl #16\n"                                                          \
            "pkhtb r7, r7, r6, asr #16\n"                                                          \
            "pkhbt r6, r4, r5, lsl #16\n"                                                          \
            "pkhtb r5, r5, r4, asr #16\n"                                                          \
            "ldrd r4, r9, [lr], #8\n"                                                              \
            "smlad r0, r8, r4, r0\n"                                                               \
            "smlad r1, r6, r9, r1\n"                                                               \
            "ldrd r4, r9, [lr], #8\n"                                                              \
            "smlad r2, r7, r4, r2\n"                                                               \
            "smlad r3, r5, r9, r3\n"                                                               \
            "cmp r10, r11\n"                                                                       \
            "bne 2b\n"                                                                             \
            "ldr r9, [sp]\n"                                                                       \
            "ldr pc, [r9, " FINISH "]\n"                                                           \
            ".thumb_func\n"                                                                        \
            ".type " next ", %function\n"                                                          \
            next ":\n"                                                                             \
            "ldrd r4, r5, [r9, " LEFT "]\n"                                                        \
            "add r12, r5\n"                                                                        \
            "subs r4, #1\n"                                                                        \
            "str r4, [r9, " LEFT "]\n"                                                             \
            "bne 1b\n"                                                                             \
            "pop {r0, r4-r11, pc}\n"                                                               \
            ".ltorg\n");                                                                           \
  }
PAIRS_ROW(kq_arm_pairs_row_s8, "kq_arm_next_of_pairs_s8", "sxtb16")
PAIRS_ROW(kq_arm_pairs_row_u8, "kq_arm_next_of_pairs_u8", "uxtb16")

/* kq_arm_channel: factor, start. */
#define RESULT(sum)                          \
  "ldmia lr!, {r4, r5, r6}\n"                \
  "smlal r5, r6, " sum ", r4\n"              \
  "usat " sum ", #8, r6\n"
KQ_NAKED static void finish(kq_arm_row *row KQ_UNUSED) {
  __asm__(RESULT("r0") RESULT("r1") RESULT("r2") RESULT("r3")
          "bfi r0, r1, #8, #8\n"
          "bfi r0, r2, #16, #8\n"
          "bfi r0, r3, #24, #8\n"
          "ldrd r4, r5, [r9, " Y "]\n"
          "str r0, [r4]\n"
          "add r4, r5\n"
          "str r4, [r9, " Y "]\n"
          "ldr pc, [r9, " NEXT "]\n");
}

/* r0 columns, r1 input, r2-r4 offsets, r5 and lr masks, r6 step, r7 end. */
#define PACK(name, extend)                                                                                               \
  KQ_NAKED void name(uint32_t *columns KQ_UNUSED, const kq_arm_source *source KQ_UNUSED, uint32_t count KQ_UNUSED) {     \
    __asm__("push {r4-r12, lr}\n"                                                                                        \
            "mov r7, r2\n"                                                                                               \
            "mov r8, r1\n"                                                                                               \
            "ldmia r8, {r1-r5, lr}\n"                                                                                    \
            "ldr r6, [r8, #24]\n"                                                                                        \
            "mla r7, r7, r6, r1\n"                                                                                       \
            "1:\n"                                                                                                       \
            "ldr r8, [r1, r2]\n"                                                                                         \
            "ldr r9, [r1, r3]\n"                                                                                         \
            "and r8, r5\n"                                                                                               \
            extend " r10, r8, ror #8\n"                                                                                  \
            extend " r11, r9, ror #8\n"                                                                                  \
            extend " r8, r8\n"                                                                                           \
            extend " r9, r9\n"                                                                                           \
            "pkhbt r12, r8, r9, lsl #16\n"                                                                               \
            "pkhtb r9, r9, r8, asr #16\n"                                                                                \
            "pkhbt r8, r10, r11, lsl #16\n"                                                                              \
            "pkhtb r11, r11, r10, asr #16\n"                                                                             \
            "stmia r0!, {r8, r9, r11, r12}\n"                                                                            \
            "ldr r8, [r1, r4]\n"                                                                                         \
            "and r8, lr\n"                                                                                               \
            extend " r9, r8, ror #8\n"                                                                                   \
            extend " r8, r8\n"                                                                                           \
            "strd r8, r9, [r0], #8\n"                                                                                    \
            "add r1, r6\n"                                                                                               \
            "cmp r1, r7\n"                                                                                               \
            "bne 1b\n"                                                                                                   \
            "pop {r4-r12, pc}\n");                                                                                       \
  }
PACK(kq_arm_pack_s8, "sxtb16")
PACK(kq_arm_pack_u8, "uxtb16")

KQ_NAKED void kq_arm_fill_columns(uint32_t *columns KQ_UNUSED, const uint32_t *end KQ_UNUSED, uint32_t upper KQ_UNUSED,
                                  uint32_t lower KQ_UNUSED) {
  __asm__("push {r4-r7, lr}\n"
          "1:\n"
          "ldmia r0, {r4-r7, r12, lr}\n"
          "orrs r4, r2\n"
          "orrs r5, r2\n"
          "orrs r6, r2\n"
          "orrs r7, r2\n"
          "orr r12, r3\n"
          "orr lr, r3\n"
          "stmia r0!, {r4-r7, r12, lr}\n"
          "cmp r0, r1\n"
          "bne 1b\n"
          "pop {r4-r7, pc}\n");
}

#else

static void finish(kq_arm_row *row) {
  for (unsigned i = 0; i < KQ_ARM_QUAD; ++i) row->y[i] = kq_arm_finish(&row->channels[i], row->sums[i], 0);
  row->y += row->next_pixel;
}

static int32_t product_low(uint32_t a, uint32_t b) { return kq_smlad(a & 0xFFFFu, b & 0xFFFFu, 0); }
static int32_t product_high(uint32_t a, uint32_t b) { return kq_smlad(a & 0xFFFF0000u, b & 0xFFFF0000u, 0); }

void kq_arm_depthwise_row(kq_arm_row *row) {
  for (; row->left > 0; --row->left) {
    const uint32_t *x = row->input, *w = row->weights;
    for (int i = 0; i < KQ_ARM_QUAD; ++i) row->sums[i] = 0;
    for (int column = 0; column < KQ_ARM_COLUMNS; ++column, x += KQ_ARM_COLUMN_WORDS, w += KQ_ARM_COLUMN_WORDS) {
      for (int i = 0; i < KQ_ARM_QUAD; ++i) row->sums[(i + 1) % KQ_ARM_QUAD] = kq_smlad(x[i], w[i], row->sums[(i + 1) % KQ_ARM_QUAD]);
      row->sums[0] += product_low(x[4], w[4]);
      row->sums[2] += product_high(x[4], w[4]);
      row->sums[1] += product_low(x[5], w[5]);
      row->sums[3] += product_high(x[5], w[5]);
    }
    row->input = x + row->next_input / (int32_t)sizeof *x;
    row->finish(row);
  }
}

static void pairs_row(kq_arm_row *row, bool is_signed) {
  for (; row->left > 0; --row->left) {
    const uint8_t *base = row->input;
    const uint32_t *w = row->weights;
    for (int i = 0; i < KQ_ARM_QUAD; ++i) row->sums[i] = 0;
    for (const uint32_t *offset = row->offsets; offset != row->offsets_end; offset += 2, w += KQ_ARM_QUAD) {
      const uint32_t a = kq_load_word(base + offset[0]), b = kq_load_word(base + offset[1]);
      const uint32_t a_even = kq_even_bytes(a, is_signed), b_even = kq_even_bytes(b, is_signed);
      const uint32_t a_odd = kq_odd_bytes(a, is_signed), b_odd = kq_odd_bytes(b, is_signed);
      row->sums[0] = kq_smlad(kq_low_halves(a_even, b_even), w[0], row->sums[0]);
      row->sums[1] = kq_smlad(kq_low_halves(a_odd, b_odd), w[1], row->sums[1]);
      row->sums[2] = kq_smlad(kq_high_halves(a_even, b_even), w[2], row->sums[2]);
      row->sums[3] = kq_smlad(kq_high_halves(a_odd, b_odd), w[3], row->sums[3]);
    }
    row->input = base + row->next_input;
    row->finish(row);
  }
}

void kq_arm_pairs_row_s8(kq_arm_row *row) { pairs_row(row, true); }
void kq_arm_pairs_row_u8(kq_arm_row *row) { pairs_row(row, false); }

static void pack(uint32_t *columns, const kq_arm_source *source, uint32_t count, bool is_signed) {
  const uint8_t *input = source->input;
  for (; count > 0; --count, input += source->next, columns += KQ_ARM_COLUMN_WORDS) {
    const uint32_t upper = kq_load_word(input + source->offsets[0]) & source->upper, middle = kq_load_word(input + source->offsets[1]);
    const uint32_t lower = kq_load_word(input + source->offsets[2]) & source->lower;
    const uint32_t even[] = {kq_even_bytes(upper, is_signed), kq_even_bytes(middle, is_signed)};
    const uint32_t odd[] = {kq_odd_bytes(upper, is_signed), kq_odd_bytes(middle, is_signed)};
    columns[0] = kq_low_halves(odd[0], odd[1]);
    columns[1] = kq_high_halves(even[0], even[1]);
    columns[2] = kq_high_halves(odd[0], odd[1]);
    columns[3] = kq_low_halves(even[0], even[1]);
    columns[4] = kq_even_bytes(lower, is_signed);
    columns[5] = kq_odd_bytes(lower, is_signed);
  }
}

void kq_arm_pack_s8(uint32_t *columns, const kq_arm_source *source, uint32_t count) { pack(columns, source, count, true); }
void kq_arm_pack_u8(uint32_t *columns, const kq_arm_source *source, uint32_t count) { pack(columns, source, count, false); }

void kq_arm_fill_columns(uint32_t *columns, const uint32_t *end, uint32_t upper, uint32_t lower) {
  for (; columns != end; columns += KQ_ARM_COLUMN_WORDS) {
    for (int i = 0; i < KQ_ARM_COLUMN_WORDS; ++i) columns[i] |= i < KQ_ARM_QUAD ? upper : lower;
  }
}

#endif

void kq_arm_choose_row_finish(kq_arm_row *row) { row->finish = finish; }
