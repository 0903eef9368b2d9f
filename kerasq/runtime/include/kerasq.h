/* kerasq: runs .kq files, networks in binary and fixed-point numbers, where there may be no floating point and no heap.
 *
 *     static uint8_t arena[KERASQ_MODEL_ARENA_BYTES];                    aligned as kq_arena_alignment() says, 16 by default
 *     static uint64_t state[KERASQ_MODEL_STATE_BYTES / 8];
 *     size_t state_bytes = sizeof state;
 *     const kq_network *network;
 *     kq_error error;
 *     if (kq_prepare(model, model_bytes, &kq_portable_kernels, state, &state_bytes, &network, &error) != KQ_OK) ...
 *     memcpy(kq_tensor_data(network, kq_input(network, 0), arena), pixels, 3072);
 *     kq_invoke(network, arena);
 *     scores = kq_tensor_data(network, kq_output(network, 0), arena);
 *
 * The model's bytes are only read, and must stay where they are (flash, ROM, a read-only mapping). kq_prepare trusts nothing in
 * them: any bytes are either refused with a reason or run in bounds. It checks and resolves everything once; kq_invoke checks
 * nothing. A network is not written to after kq_prepare: threads may run it at once, each in an arena of its own. Nothing is
 * allocated, nothing is kept in variables of the library.
 *
 * What is computed is defined in NUMERICS.md, to the bit for fixed-point tensors, whichever kernels compute it. */
#ifndef KERASQ_H
#define KERASQ_H

#include <stddef.h>
#include <stdint.h>

#include "kerasq_format.h" /* kq_type, kq_kind */

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  KQ_OK,
  KQ_STATE_TOO_SMALL,   /* the state needs as many bytes as *state_bytes now says */
  KQ_MISALIGNED,        /* model bytes must be aligned to 4 bytes (16 for speed), the state to 8 */
  KQ_NOT_A_MODEL,       /* not the beginning of a .kq file, or larger than 1 GiB */
  KQ_DAMAGED,           /* the bytes are not the tables that the format describes */
  KQ_BAD_VERSION,       /* made for a newer version of the format */
  KQ_BAD_CODE,          /* an enum, a number of fractional bits or a metadata key out of range */
  KQ_BAD_COUNT,         /* too many tensors, operators, metadata or values of multipliers and biases, counted for each operator
                           that uses them (2^26); arena size or alignment out of range */
  KQ_BAD_TEXT,          /* metadata or a name is empty, too long or occurs twice */
  KQ_BAD_SHAPE,         /* a tensor's shape */
  KQ_BAD_DATA,          /* a constant has the wrong number of bytes, or values that its type does not store */
  KQ_BAD_PLACE,         /* a tensor lies outside the arena, is misaligned, or has both data and a place */
  KQ_BAD_LINK,          /* an index out of range, or a tensor read before it is written, or written twice, or never used */
  KQ_BAD_PLAN,          /* two tensors that are in use at the same time overlap */
  KQ_BAD_OPERAND,       /* an operator has too few or too many inputs, or one of the wrong kind, type or shape */
  KQ_BAD_ATTRIBUTE,     /* a window, stride, padding, group or clamp out of range, or unused and set */
  KQ_BAD_OUTPUT,        /* an operator's output has another shape than the operator gives */
  KQ_OVERFLOW,          /* the accumulator proof fails: recorded widths do not hold the intermediate results */
  KQ_BAD_TEST,          /* the embedded test vector does not fit the network */
  KQ_NO_KERNEL,         /* an operator that none of the given kernels computes */
  KQ_NO_TEST,           /* kq_selftest: the model carries no test vector */
  KQ_TEST_FAILED        /* kq_selftest: a tensor differs from what the converter computed */
} kq_status;

typedef struct {
  kq_status status;
  int32_t operator_index; /* the operator concerned; -1 where none is */
  int32_t tensor_index;   /* the tensor concerned; -1 where none is */
} kq_error;

/* One sentence on a status. */
const char *kq_status_text(kq_status status);

/* A network that kq_prepare accepted. It lies in the caller's state. */
typedef struct kq_network kq_network;

/* A kernel computes one kind of operator for some types. A list of them is what a program links: kq_portable_kernels has all
 * that C99 alone can do; kerasq-convert --emit_c writes a list of only those that one model uses (kerasq_kernels.h names them);
 * kq_native_kernels (kerasq_native.h) adds what this processor is fastest with. Earlier kernels are preferred. */
typedef struct kq_kernel kq_kernel;
typedef struct {
  const kq_kernel *const *list;
  uint32_t count;
} kq_kernels;
extern const kq_kernels kq_portable_kernels;

/* Bytes of state that suffice with portable kernels, as a constant expression; kernels that rearrange weights need more, up to 16
 * times the model's constants and 64 KB. */
#define KQ_NETWORK_BYTES (40u + 9u * (unsigned)sizeof(void *))
#define KQ_TENSOR_BYTES (40u + 2u * (unsigned)sizeof(void *))
#define KQ_OPERATOR_BYTES (48u + 9u * (unsigned)sizeof(void *))
#define KQ_STATE_BYTES(tensors, operators) \
  ((KQ_NETWORK_BYTES + (tensors) * KQ_TENSOR_BYTES + (operators) * KQ_OPERATOR_BYTES + 31u) / 8u * 8u)

/* Verify a model and make it ready to run.
 *   model        the bytes of a .kq file
 *   kernels      which kernels may be used
 *   state        memory for what is resolved, aligned to 8 bytes (64 for speed); NULL only asks how much is needed
 *   state_bytes  in: size of state; out: bytes needed. With KQ_STATE_TOO_SMALL call again with so many; it may happen twice
 *   network      the network, inside state
 *   error        what is wrong; may be NULL */
kq_status kq_prepare(const void *model, size_t model_bytes, const kq_kernels *kernels, void *state, size_t *state_bytes,
                     const kq_network **network, kq_error *error);

/* Bytes of working memory, and the alignment (a power of two) of its first: with portable kernels those that the file says. */
size_t kq_arena_bytes(const kq_network *network);
size_t kq_arena_alignment(const kq_network *network);

/* Compute every tensor from the inputs in the arena. Inputs may be overwritten. */
void kq_invoke(const kq_network *network, void *arena);

/* One operator, 0 .. kq_operators() - 1; kq_invoke is all of them in order. */
void kq_invoke_operator(const kq_network *network, uint32_t index, void *arena);

/* Run `examples` examples one after the other. inputs[i] holds stored values of input i of all examples, one after the other, and
 * outputs[o] takes those of output o. */
void kq_run(const kq_network *network, void *arena, const void *const *inputs, void *const *outputs, size_t examples);

/* The same for up to `together` examples at once, operator by operator, so that weights are read once for several of them: what
 * pays where nearly all the work is in Dense layers. `arenas` is memory for as many arenas, each `step` bytes, a multiple of the
 * alignment and no less than kq_arena_bytes says, behind the one before. */
void kq_run_together(const kq_network *network, void *arenas, size_t step, uint32_t together, const void *const *inputs,
                     void *const *outputs, size_t examples);

/* Counts, and the tensors that are the network's inputs and outputs. */
uint32_t kq_tensors(const kq_network *network);
uint32_t kq_operators(const kq_network *network);
uint32_t kq_inputs(const kq_network *network);
uint32_t kq_outputs(const kq_network *network);
uint32_t kq_input(const kq_network *network, uint32_t index);
uint32_t kq_output(const kq_network *network, uint32_t index);

/* What the network's author calls an input or output: the file's name for it, else that of its tensor. */
const char *kq_input_name(const kq_network *network, uint32_t index);
const char *kq_output_name(const kq_network *network, uint32_t index);

typedef struct {
  const char *name;
  kq_type type;
  int frac_bits;      /* a stored q stands for q * 2^-frac_bits */
  uint32_t rank;
  uint32_t shape[4];  /* activations are channels-last, with a batch axis of 1 */
  size_t bytes;
  int constant;
} kq_tensor_info;
kq_tensor_info kq_describe_tensor(const kq_network *network, uint32_t tensor);

typedef struct {
  kq_kind kind;
  uint32_t output;          /* the tensor it writes */
  const char *kernel;       /* name of the kernel that computes it */
  uint64_t macs;            /* multiply-accumulates, absent taps included */
  size_t scratch_bytes;     /* of the arena, that the kernel needs while it runs */
} kq_operator_info;
kq_operator_info kq_describe_operator(const kq_network *network, uint32_t index);

/* Where a tensor's stored values lie: in the arena for activations, in the model for constants (not to be written). */
void *kq_tensor_data(const kq_network *network, uint32_t tensor, void *arena);

/* Compute the test vector that the converter embedded (--embed_test) and compare every tensor with it. KQ_TEST_FAILED names the
 * first operator that differs. */
kq_status kq_selftest(const kq_network *network, void *arena, kq_error *error);

/* CRC-32 (IEEE 802.3, as zlib's) of some bytes, continuing from `crc`, 0 to begin with. */
uint32_t kq_crc32(uint32_t crc, const void *bytes, size_t count);

#ifdef __cplusplus
}
#endif
#endif
