/* What a caller may ask of a network. */
#include "kq_internal.h"

uint32_t kq_tensors(const kq_network *network) { return network->tensor_count; }
uint32_t kq_operators(const kq_network *network) { return network->operator_count; }
uint32_t kq_inputs(const kq_network *network) { return network->input_count; }
uint32_t kq_outputs(const kq_network *network) { return network->output_count; }
uint32_t kq_input(const kq_network *network, uint32_t index) { return kq_u32(network->inputs + (size_t)index * 4); }
uint32_t kq_output(const kq_network *network, uint32_t index) { return kq_u32(network->outputs + (size_t)index * 4); }

kq_tensor_info kq_describe_tensor(const kq_network *network, uint32_t tensor) {
  const kq_tensor *source = &network->tensors[tensor];
  kq_tensor_info info;
  info.name = source->name;
  info.type = (kq_type)source->type;
  info.frac_bits = source->frac_bits;
  info.rank = source->rank;
  memcpy(info.shape, source->shape, sizeof info.shape);
  info.bytes = source->bytes;
  info.constant = source->data != NULL;
  return info;
}

kq_operator_info kq_describe_operator(const kq_network *network, uint32_t index) {
  const kq_operator *op = &network->operators[index];
  kq_operator_info info;
  info.kind = (kq_kind)op->kind;
  info.output = (uint32_t)(op->output - network->tensors);
  info.kernel = op->kernel->name;
  info.macs = kq_macs(op);
  return info;
}

void *kq_tensor_data(const kq_network *network, uint32_t tensor, void *arena) {
  const kq_tensor *source = &network->tensors[tensor];
  if (source->data == NULL) return (uint8_t *)arena + source->offset;
  void *data; /* kerasq.h says that constants are not written: the const goes without a cast that compilers warn of */
  memcpy(&data, &source->data, sizeof data);
  return data;
}
