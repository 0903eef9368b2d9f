/* What a caller may ask of a network. */
#include "kq_fields.h"

uint32_t kq_tensors(const kq_network *network) { return network->tensor_count; }
uint32_t kq_operators(const kq_network *network) { return network->operator_count; }
uint32_t kq_inputs(const kq_network *network) { return network->input_count; }
uint32_t kq_outputs(const kq_network *network) { return network->output_count; }
uint32_t kq_input(const kq_network *network, uint32_t index) { return kq_u32(network->inputs + (size_t)index * 4); }
uint32_t kq_output(const kq_network *network, uint32_t index) { return kq_u32(network->outputs + (size_t)index * 4); }

static const char *end_name(const kq_network *network, uint32_t slot, uint32_t index, uint32_t tensor) {
  const kq_vector names = kq_vector_field(kq_follow(network->model), slot);
  if (names.count == 0) return network->tensors[tensor].name;
  return (const char *)(kq_follow(names.elements + (size_t)index * 4) + 4); /* a zero byte follows every text of a file */
}

const char *kq_input_name(const kq_network *network, uint32_t index) {
  return end_name(network, MODEL_INPUT_NAMES, index, kq_input(network, index));
}

const char *kq_output_name(const kq_network *network, uint32_t index) {
  return end_name(network, MODEL_OUTPUT_NAMES, index, kq_output(network, index));
}

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
  info.scratch_bytes = op->kernel->scratch_bytes == NULL ? 0 : op->kernel->scratch_bytes(op);
  return info;
}

void *kq_tensor_data(const kq_network *network, uint32_t tensor, void *arena) {
  const kq_tensor *source = &network->tensors[tensor];
  if (source->data == NULL) return (uint8_t *)arena + source->offset;
  void *data; /* kerasq.h says that constants are not written: the const goes without a cast that compilers warn of */
  memcpy(&data, &source->data, sizeof data);
  return data;
}
