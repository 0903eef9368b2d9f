#include "kq_pool.h"

void kq_each_pooled(const kq_operator *op, uint8_t *arena, void (*compute)(const kq_operator *, const kq_pooled *)) {
  const uint32_t *shape = op->output->shape;
  kq_pooled pooled;
  pooled.input = kq_input_data(op, 0, arena);
  pooled.output = kq_output_data(op, arena);
  pooled.first = 0;
  for (uint32_t row = 0; row < shape[1]; ++row) {
    pooled.rows = kq_look(op, 0, row);
    for (uint32_t column = 0; column < shape[2]; ++column) {
      pooled.columns = kq_look(op, 1, column);
      compute(op, &pooled);
      pooled.first += shape[3];
    }
  }
}
