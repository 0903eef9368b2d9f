#include "kq_internal.h"

const char *kq_status_text(kq_status status) {
  switch (status) {
    case KQ_OK: return "all is well";
    case KQ_STATE_TOO_SMALL: return "the state is too small: call again with as many bytes as *state_bytes says";
    case KQ_MISALIGNED: return "the model's bytes must be aligned to 4 bytes and the state to 8";
    case KQ_NOT_A_MODEL: return "this is not a .kq file, or it has more than 1 GiB";
    case KQ_DAMAGED: return "the file is damaged, or not made by kerasq";
    case KQ_BAD_VERSION: return "the file has another version of the format than this library reads";
    case KQ_BAD_CODE: return "a type, a kind of operator or a number of fractional bits is unknown, or not for this use";
    case KQ_BAD_COUNT: return "there are too many of something, or the arena's size or alignment is out of range";
    case KQ_BAD_TEXT: return "a name or a metadata key is empty, too long, or occurs twice";
    case KQ_BAD_SHAPE: return "a tensor must have 1 to 4 axes, none empty, and an activation a batch axis of 1 and another one";
    case KQ_BAD_DATA: return "a constant has another size than its shape says, or values that its type does not store";
    case KQ_BAD_PLACE: return "a tensor's offset is not a place in the arena, is misaligned, or is that of a constant";
    case KQ_BAD_LINK: return "an index leads nowhere, or a tensor is read before it is written, written twice, or never used";
    case KQ_BAD_PLAN: return "a tensor overlaps another one in the arena while both are in use";
    case KQ_BAD_OPERAND: return "an operator has too few or too many inputs, or one of a wrong kind, type or shape";
    case KQ_BAD_ATTRIBUTE: return "an operator's window, stride, dilation, padding, group or clamp is out of range or has no use";
    case KQ_BAD_OUTPUT: return "an operator's output has another shape than the operator gives";
    case KQ_OVERFLOW: return "an operator's recorded accumulator widths do not hold its intermediate results";
    case KQ_BAD_TEST: return "the embedded test vector does not fit the network's inputs and operators";
    case KQ_NO_KERNEL: return "none of the given kernels computes an operator: link more of them, or kq_portable_kernels";
    case KQ_NO_TEST: return "the model carries no test vector: convert it with --embed_test";
    case KQ_TEST_FAILED: return "an operator computes something else than the converter's reference did";
  }
  return "unknown status";
}
