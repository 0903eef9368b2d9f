#include "kq_arm_rows.h"

void kq_arm_finish_row_any(kq_arm_row *row);

#ifdef KQ_ARM_ASSEMBLY

/* Places in kq_arm_row, all of four bytes, and of kq_arm_group. */
#define Y "#8" /* and next_pixel */
#define LEFT "#16" /* and next_columns */
#define FINISH "#24"
#define SUMS "#28"
#define GROUP_BYTES "#120"
typedef char places_are_right[offsetof(kq_arm_row, sums) == 28 && sizeof(kq_arm_group) == 120 ? 1 : -1];

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

void kq_arm_next_output(void);

/* The sums go to row->finish by a jump, with the row in r9; it jumps to kq_arm_next_output, with r9, r12 and the stack kept, and lr
 * at the end of the group. */
KQ_NAKED void kq_arm_depthwise_row(kq_arm_row *row KQ_UNUSED) {
  __asm__("push {r0, r4-r11, lr}\n"
          "ldrd r12, lr, [r0]\n"
          "1:\n" COLUMN("smuad", NONE) COLUMN("smlad", SUM) COLUMN("smlad", SUM)
          "ldr r9, [sp]\n"
          "ldr pc, [r9, " FINISH "]\n"
          ".thumb_func\n"
          ".global kq_arm_next_output\n"
          ".type kq_arm_next_output, %function\n"
          "kq_arm_next_output:\n"
          "ldrd r4, r5, [r9, " LEFT "]\n"
          "add r12, r5\n"
          "sub lr, " GROUP_BYTES "\n"
          "subs r4, #1\n"
          "str r4, [r9, " LEFT "]\n"
          "bne 1b\n"
          "pop {r0, r4-r11, pc}\n");
}

/* kq_arm_channel: factor, start. */
#define RESULT(sum, saturate)                \
  "ldmia lr!, {r4, r5, r6}\n"                \
  "smlal r5, r6, " sum ", r4\n"              \
  saturate(sum)
#define TO_S8(sum) "ssat " sum ", #8, r6\n"
#define TO_U8(sum) "usat " sum ", #8, r6\n"
#define TO_U7(sum) "usat " sum ", #7, r6\n"
#define FINISH_ROW(name, saturate)                                                                        \
  KQ_NAKED static void name(kq_arm_row *row KQ_UNUSED) {                                                  \
    __asm__(RESULT("r0", saturate) RESULT("r1", saturate) RESULT("r2", saturate) RESULT("r3", saturate)   \
            "bfi r0, r1, #8, #8\n"                                                                        \
            "bfi r0, r2, #16, #8\n"                                                                       \
            "bfi r0, r3, #24, #8\n"                                                                       \
            "ldrd r4, r5, [r9, " Y "]\n"                                                                  \
            "str r0, [r4]\n"                                                                              \
            "add r4, r5\n"                                                                                \
            "str r4, [r9, " Y "]\n"                                                                       \
            "b kq_arm_next_output\n");                                                                    \
  }
FINISH_ROW(finish_s8, TO_S8)
FINISH_ROW(finish_u8, TO_U8)
FINISH_ROW(finish_u7, TO_U7)

KQ_NAKED static void finish_other(kq_arm_row *row KQ_UNUSED) {
  __asm__("add r4, r9, " SUMS "\n"
          "stmia r4, {r0-r3}\n"
          "mov r4, r9\n"
          "mov r5, r12\n"
          "mov r0, r9\n"
          "bl kq_arm_finish_row_any\n"
          "mov r9, r4\n"
          "mov r12, r5\n"
          "ldr lr, [r9, #4]\n"
          "add lr, " GROUP_BYTES "\n"
          "b kq_arm_next_output\n");
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

#else

static int32_t product_low(uint32_t a, uint32_t b) { return kq_smlad(a & 0xFFFFu, b & 0xFFFFu, 0); }
static int32_t product_high(uint32_t a, uint32_t b) { return kq_smlad(a & 0xFFFF0000u, b & 0xFFFF0000u, 0); }

void kq_arm_depthwise_row(kq_arm_row *row) {
  for (; row->left > 0; --row->left) {
    const uint32_t *x = row->columns, *w = row->group->weights;
    for (int i = 0; i < KQ_ARM_QUAD; ++i) row->sums[i] = 0;
    for (int column = 0; column < KQ_ARM_COLUMNS; ++column, x += KQ_ARM_COLUMN_WORDS, w += KQ_ARM_COLUMN_WORDS) {
      for (int i = 0; i < KQ_ARM_QUAD; ++i) row->sums[(i + 1) % KQ_ARM_QUAD] = kq_smlad(x[i], w[i], row->sums[(i + 1) % KQ_ARM_QUAD]);
      row->sums[0] += product_low(x[4], w[4]);
      row->sums[2] += product_high(x[4], w[4]);
      row->sums[1] += product_low(x[5], w[5]);
      row->sums[3] += product_high(x[5], w[5]);
    }
    row->columns = x + row->next_columns / (int32_t)sizeof *x;
    kq_arm_finish_row_any(row);
  }
}

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

#endif

/* Any limits. */
void kq_arm_finish_row_any(kq_arm_row *row) {
  kq_store_word(row->y, kq_arm_finish_quad(row->op, row->group->channels, row->sums));
  row->y += row->next_pixel;
}

void kq_arm_choose_row_finish(const kq_operator *op, kq_arm_row *row) {
  row->op = op;
#ifdef KQ_ARM_ASSEMBLY
  const int32_t low = op->low.fixed, high = op->high.fixed;
  row->finish = finish_other;
  if (low == -128 && high == 127) row->finish = finish_s8;
  if (low == 0 && high == 255) row->finish = finish_u8;
  if (low == 0 && high == 127) row->finish = finish_u7;
#else
  row->finish = kq_arm_finish_row_any;
#endif
}
