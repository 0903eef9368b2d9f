#include "kq_weighted.h"

static int frac_bits(const kq_tensor *tensor) { return tensor == NULL ? 0 : tensor->frac_bits; }

int kq_total_frac_bits(const kq_operator *op) {
  return frac_bits(op->input[KQ_X]) + frac_bits(op->input[KQ_KERNEL]) + frac_bits(op->input[KQ_MULTIPLIER]);
}

/* The proof keeps stored values times the factor inside 64 bits: where it would be 2^63 or more, of a bias, all values are 0. */
static void set_term(kq_term *term, const kq_tensor *tensor, const uint8_t *arena, int total_frac_bits) {
  term->data = NULL;
  if (tensor == NULL || (tensor->data == NULL && arena == NULL)) return;
  const int places = total_frac_bits - tensor->frac_bits;
  term->data = tensor->data != NULL ? tensor->data : arena + tensor->offset;
  term->read = kq_reader_of(tensor->type);
  term->factor = (unsigned)places > 62 ? 0 : (int64_t)1 << places;
}

static void set_totals(kq_totals *totals, const kq_operator *op, const uint8_t *arena) {
  const int total_frac_bits = kq_total_frac_bits(op);
  set_term(&totals->multiplier, op->input[KQ_MULTIPLIER], arena, total_frac_bits);
  set_term(&totals->bias, op->input[KQ_BIAS], arena, total_frac_bits);
  set_term(&totals->addend, op->input[KQ_ADDEND], arena, total_frac_bits);
  totals->shift = total_frac_bits - op->output->frac_bits;
}

kq_totals kq_totals_of(const kq_operator *op, const uint8_t *arena) {
  kq_totals totals;
  set_totals(&totals, op, arena);
  return totals;
}

int64_t kq_total(const kq_totals *totals, uint32_t channel, uint32_t place, int64_t sum) {
  const kq_term *m = &totals->multiplier, *b = &totals->bias, *r = &totals->addend;
  if (m->data != NULL) sum *= m->read(m->data, channel);
  if (b->data != NULL) sum += b->read(b->data, channel) * b->factor;
  if (r->data != NULL) sum += r->read(r->data, place) * r->factor;
  return sum;
}

void kq_set_finish(kq_finish *finish, const kq_operator *op, uint8_t *arena) {
  set_totals(&finish->totals, op, arena);
  finish->op = op;
  finish->output = kq_output_data(op, arena);
  finish->write = kq_writer_of(op->output->type);
}

void kq_put_sum(const kq_finish *finish, uint32_t channel, uint32_t place, int32_t sum) {
  const int64_t total = kq_total(&finish->totals, channel, place, sum);
  const kq_operator *op = finish->op;
  finish->write(finish->output, place, kq_requantize(total, finish->totals.shift, op->low.fixed, op->high.fixed));
}

kq_rows kq_rows_of(const kq_tensor *kernel) {
  kq_rows rows = {.data = kernel->data, .read = kq_reader_of(kernel->type)};
  if (kernel->layout == KQ_LAYOUT_PAIRS) {
    rows.paired = kernel->elements / kernel->shape[0];
  } else if (kq_bits(kernel->type) < 8 && kernel->type != KQ_SIGN) {
    rows.values = kernel->elements / kernel->shape[0];
  } else {
    rows.bytes = kernel->bytes / kernel->shape[0];
  }
  return rows;
}

uint32_t kq_place_in_pairs(uint32_t weights, uint32_t channel, uint32_t index) {
  static const uint8_t places[] = {2, 0, 3, 1}; /* of four weights */
  return 2 * (channel / 2 * weights + (index & ~3u) + places[index % 4]) + channel % 2;
}
