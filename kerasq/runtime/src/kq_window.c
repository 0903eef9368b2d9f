#include "kq_window.h"

#include "kq_arithmetic.h"

void kq_each_pixel(const kq_operator *op, uint8_t *arena, void (*compute)(const kq_operator *, const kq_pixel *)) {
  const uint32_t *shape = op->output->shape;
  kq_pixel pixel;
  pixel.input = kq_input_data(op, 0, arena);
  pixel.addend = op->inputs == KQ_MAX_INPUTS ? kq_input_data(op, KQ_MAX_INPUTS - 1, arena) : NULL;
  pixel.output = kq_output_data(op, arena);
  pixel.first = 0;
  for (uint32_t row = 0; row < shape[1]; ++row) {
    pixel.rows = kq_look(op, 0, row);
    for (uint32_t column = 0; column < shape[2]; ++column) {
      pixel.columns = kq_look(op, 1, column);
      compute(op, &pixel);
      pixel.first += shape[3];
    }
  }
}
