#include "kq_window.h"

void kq_each_pixel(const kq_operator *op, uint8_t *arena, void (*compute)(const kq_operator *, const kq_pixel *),
                   const void *shared) {
  const uint32_t *shape = op->output->shape;
  kq_pixel pixel;
  pixel.input = kq_input_data(op, 0, arena);
  pixel.output = kq_output_data(op, arena);
  pixel.first = 0;
  pixel.read = kq_reader_of(op->input[0]->type);
  pixel.write = kq_writer_of(op->output->type);
  pixel.shared = shared;
  for (uint32_t row = 0; row < shape[1]; ++row) {
    pixel.rows = kq_look(op, 0, row);
    for (uint32_t column = 0; column < shape[2]; ++column) {
      pixel.columns = kq_look(op, 1, column);
      compute(op, &pixel);
      pixel.first += shape[3];
    }
  }
}
