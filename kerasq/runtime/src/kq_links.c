/* Who reads and writes what, in the order of execution. As no activation is written twice, or read before it is written,
 * execution has no cycles and reads no value that is left over from another run. */
#include "kq_verify.h"

#define UNWRITTEN (-2) /* as `first` */

/* The activation of one of the network's inputs or outputs; NULL where the index leads elsewhere. */
static kq_tensor *activation(const kq_network *network, const uint8_t *indices, uint32_t i) {
  const uint32_t index = kq_u32(indices + 4 * (size_t)i);
  if (index >= network->tensor_count || network->tensors[index].data != NULL) return NULL;
  return &network->tensors[index];
}

static kq_status fail(const kq_network *network, kq_error *error, int32_t position, const kq_tensor *tensor) {
  return kq_fail(error, KQ_BAD_LINK, position, tensor == NULL ? -1 : (int32_t)(tensor - network->tensors));
}

static kq_status link_inputs(kq_network *network, kq_error *error) {
  if (network->input_count == 0) return fail(network, error, -1, NULL);
  for (uint32_t i = 0; i < network->input_count; ++i) {
    kq_tensor *tensor = activation(network, network->inputs, i);
    if (tensor == NULL || tensor->first != UNWRITTEN) return fail(network, error, -1, tensor);
    tensor->first = tensor->last = -1;
  }
  return KQ_OK;
}

static kq_status link_operator(kq_network *network, int32_t position, kq_error *error) {
  const kq_operator *op = &network->operators[position];
  kq_tensor *output = &network->tensors[op->output - network->tensors];
  for (uint32_t i = 0; i < op->inputs; ++i) {
    if (!kq_is_activation(op->input[i])) continue;
    if (op->input[i]->first == UNWRITTEN) return fail(network, error, position, op->input[i]);
    network->tensors[op->input[i] - network->tensors].last = position;
  }
  if (output->data != NULL || output->first != UNWRITTEN) return fail(network, error, position, output);
  output->first = output->last = position;
  return KQ_OK;
}

/* Outputs of the network are in use after the last operator: also how one that is named twice is told. */
static kq_status link_outputs(kq_network *network, kq_error *error) {
  const int32_t end = (int32_t)network->operator_count;
  if (network->output_count == 0) return fail(network, error, -1, NULL);
  for (uint32_t i = 0; i < network->output_count; ++i) {
    kq_tensor *tensor = activation(network, network->outputs, i);
    if (tensor == NULL || tensor->first == UNWRITTEN || tensor->last == end) return fail(network, error, -1, tensor);
    tensor->last = end;
  }
  return KQ_OK;
}

kq_status kq_check_links(kq_network *network, kq_error *error) {
  for (uint32_t i = 0; i < network->tensor_count; ++i) network->tensors[i].first = network->tensors[i].last = UNWRITTEN;
  kq_status status = link_inputs(network, error);
  for (uint32_t i = 0; i < network->operator_count && status == KQ_OK; ++i) status = link_operator(network, (int32_t)i, error);
  if (status == KQ_OK) status = link_outputs(network, error);
  for (uint32_t i = 0; i < network->tensor_count && status == KQ_OK; ++i) { /* an activation that nobody writes, nobody uses */
    const kq_tensor *tensor = &network->tensors[i];
    if (tensor->data == NULL && tensor->first == UNWRITTEN) status = fail(network, error, -1, tensor);
  }
  return status;
}
