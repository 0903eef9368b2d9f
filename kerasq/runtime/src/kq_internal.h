/* What the parts of the runtime share: the resolved network, the description of a kernel, reading little-endian numbers. */
#ifndef KQ_INTERNAL_H
#define KQ_INTERNAL_H

#include <stdbool.h>
#include <string.h>

#include "kq_operators.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "The stored values of a .kq file are little endian and are used where they lie: a big-endian machine can't."
#endif

#define KQ_ABSENT (-1)

/* A tensor of the file. */
typedef struct kq_tensor {
  const uint8_t *data; /* stored values of a constant, inside the file; NULL for an activation */
  const char *name;    /* inside the file */
  uint32_t shape[KQ_MAX_RANK]; /* axes from rank on are 1 */
  uint32_t elements;
  uint32_t bytes;
  uint32_t offset;     /* of an activation in the arena */
  int32_t first, last; /* operators, both included, during which an activation is in use; inputs begin at -1 */
  uint8_t rank;
  uint8_t type; /* kq_type */
  int8_t frac_bits;
  uint8_t layout; /* of a constant: KQ_LAYOUT_ROWS, or KQ_LAYOUT_PAIRS (kerasq/format/packing.py) */
} kq_tensor;

/* Limit of an operator's output: a stored integer, or a float for a FLOAT32 output. */
typedef union {
  int32_t fixed;
  float real;
} kq_limit;

/* An operator of the file. */
typedef struct kq_operator {
  const kq_kernel *kernel;
  const kq_tensor *input[KQ_MAX_INPUTS]; /* NULL where absent */
  const kq_tensor *output;
  const void *packed; /* what the kernel made of constants; NULL for kernels that use them as they are */
  size_t scratch;     /* offset in the arena of the kernel's scratch memory */
  kq_limit low, high; /* limits of the output: the clamp, else the type's range (-inf, inf for FLOAT32) */
  uint16_t window[2]; /* height and width: of a convolution, its kernel's */
  uint16_t strides[2];
  uint16_t dilations[2];
  uint16_t padding[4]; /* top, bottom, left, right */
  uint16_t groups;
  uint16_t zero; /* stored value of input 0, which is unsigned, that means 0 (kq_check_zero); 0 for one that computes in float */
  uint8_t kind;             /* kq_kind */
  uint8_t inputs;           /* used entries of input[] */
  uint8_t accumulator_bits; /* 0 for an operator that computes in float, else 32 or 64 */
  uint8_t total_bits;
  bool has_clamp : 1;
  bool is_integer : 1;  /* computes in integers (NUMERICS.md section 3) */
  bool is_centered : 1; /* NORMALIZE subtracts the mean */
} kq_operator;

struct kq_network {
  const uint8_t *model;
  kq_tensor *tensors;
  kq_operator *operators;
  const uint8_t *inputs; /* int32 indices, inside the file */
  const uint8_t *outputs;
  const uint8_t *test_input;     /* embedded test vector: stored values of all inputs; NULL where there is none */
  const uint8_t *test_checksums; /* a CRC-32 for each operator's output; 0: not checked */
  size_t arena_bytes;            /* scratch of the kernels included */
  uint32_t model_bytes;
  uint32_t tensor_count;
  uint32_t operator_count;
  uint32_t input_count;
  uint32_t output_count;
  uint32_t planned_bytes; /* arena of the file */
  uint32_t arena_alignment;
  uint32_t test_input_bytes;
  uint32_t test_checksum_count;
};

/* What a kernel computes, and how. Kernels are constants; kq_prepare asks each of the list in turn. */
struct kq_kernel {
  const char *name;                 /* the name of this very constant */
  uint8_t kind;                     /* kq_kind */
  int8_t input_type;                /* kq_type of input 0, or KQ_ANY */
  int8_t weight_type;               /* kq_type of input 1, or KQ_ANY */
  uint8_t weight_layout;            /* of input 1; or KQ_ANY_LAYOUT */
  uint8_t accumulator_bits;         /* as recorded: 0 in float, 32, 64, or KQ_ANY_BITS */
  bool (*accepts)(const kq_operator *); /* further conditions; may be NULL */
  const struct kq_packing *packing; /* what it makes of constants; NULL for one that uses them as they are */
  size_t (*scratch_bytes)(const kq_operator *); /* NULL: none */
  void (*run)(const kq_operator *, uint8_t *arena);
  /* `run` for several examples, each in an arena of its own, `step` bytes behind the one before; NULL: one after the other. */
  void (*run_several)(const kq_operator *, uint8_t *arenas, size_t step, uint32_t examples);
  void (*inner)(void); /* the inner loop that `run` is to use, cast to its own type there; may be NULL */
};
#define KQ_ANY (-1)

/* A kernel's name in version 0.1.0, of the same constant: for object files of lists that were written then. (For their sources
 * kerasq_kernels.h has it, whatever the compiler.) */
#if defined(__ELF__) && defined(__GNUC__)
#define KQ_FORMER_NAME(former, name) extern const kq_kernel former __attribute__((alias(#name)));
#else
#define KQ_FORMER_NAME(former, name)
#endif

/* kq_accepts.c: conditions of kernels. Whether the output is fixed; whether the operator computes in integers (NUMERICS.md
 * section 3) for a fixed output, or for a FLOAT32 one; whether an input or the output is FLOAT32. */
bool kq_has_fixed_output(const kq_operator *op);
bool kq_is_fixed_throughout(const kq_operator *op);
bool kq_is_integer_to_float(const kq_operator *op);
bool kq_has_float(const kq_operator *op);

/* State that may be used for what kernels make of constants. */
typedef struct {
  size_t limit, used;
} kq_budget;

/* How a kernel rearranges constants: kq_packing.h. */
typedef struct kq_packing {
  bool (*reserve)(kq_network *, kq_operator *, kq_budget *); /* false where the budget does not suffice: another kernel's turn */
  size_t (*fill)(kq_operator *, uint8_t *memory); /* returns the bytes that it took */
  const struct kq_part *constants, *finish;
} kq_packing;

/* Whether a kernel packs. On a microcontroller none does, and nothing is kept there for what none does. */
#if (defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M') || (defined(__riscv_xlen) && __riscv_xlen == 32)
#define KQ_PACKS(kernel) ((void)(kernel), false)
#else
#define KQ_PACKS(kernel) ((kernel)->packing != NULL)
#endif
#define KQ_ANY_BITS 255
#define KQ_ANY_LAYOUT 255

#define KQ_CACHE_LINE 64u

static inline uint16_t kq_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static inline uint32_t kq_u32(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline int32_t kq_i32(const uint8_t *p) {
  const uint32_t bits = kq_u32(p);
  int32_t value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* A status with what it concerns. */
static inline kq_status kq_fail(kq_error *error, kq_status status, int32_t operator_index, int32_t tensor_index) {
  error->status = status;
  error->operator_index = operator_index;
  error->tensor_index = tensor_index;
  return status;
}

/* Whether stored values of the type are integers with a binary point. */
static inline bool kq_is_fixed(uint8_t type) { return type != KQ_FLOAT32 && type != KQ_SIGN; }

/* Bits of a stored value, smallest and largest stored integer of a type (0 for FLOAT32). */
int kq_bits(uint8_t type);
int32_t kq_min_int(uint8_t type);
int32_t kq_max_int(uint8_t type); /* FIXED32: 2^31 - 1 */

/* Bytes of an activation's stored value. */
static inline uint32_t kq_value_bytes(uint8_t type) {
  return type == KQ_FLOAT32 ? 4 : type == KQ_FIXED8 || type == KQ_UFIXED8 ? 1 : 2;
}

/* Magnitude of a stored integer, that of -2^31 included. */
static inline uint32_t kq_magnitude(int32_t a) { return a < 0 ? 0u - (uint32_t)a : (uint32_t)a; }

/* The largest magnitude of a stored integer: 128 for FIXED8, 255 for UFIXED8, 1 for SIGN. */
uint32_t kq_max_magnitude(uint8_t type);

/* Whether two tensors have the same rank and sizes; the same type and fractional bits. */
bool kq_has_shape_of(const kq_tensor *a, const kq_tensor *b);
bool kq_has_format_of(const kq_tensor *a, const kq_tensor *b);

/* kq_structure.c: the structural rules of a .kq file (kerasq/format/structure.py). On success the counts and vectors of `network`
 * are set, and `tables` are where the tables lie. */
typedef struct {
  const uint8_t *bytes;
  uint32_t tensors;   /* position of the first reference of the vector of tensors */
  uint32_t operators;
  uint32_t metadata;
  uint32_t metadata_count;
  uint32_t version;
} kq_tables;
kq_status kq_read_structure(const uint8_t *bytes, size_t size, kq_network *network, kq_tables *tables, kq_error *error);

/* kq_load.c: fills network->tensors and network->operators, which have room for the counts, from a file of sound structure, and
 * refuses what reader.py and its own tables refuse (codes, texts, sizes of data). */
kq_status kq_load(kq_network *network, const kq_tables *tables, kq_error *error);

/* Memory in the arena that a file plans for an operator's kernel; 0 bytes where it plans none. The network's structure is sound. */
typedef struct {
  uint32_t offset, bytes;
} kq_scratch;
kq_scratch kq_planned_scratch(const kq_network *network, uint32_t index);

/* Where a kernel finds so many bytes: where the file plans them, else behind what is in use meanwhile. */
size_t kq_scratch_place(const kq_network *network, const kq_operator *op, size_t bytes);

/* kq_verify.c: whether the loaded network runs in bounds and exactly (kerasq/verification/verifier.py and kerasq/ops). */
kq_status kq_verify(kq_network *network, kq_error *error);

/* kq_network.c: the stored values of example number `example` from everyone's, as kq_run takes them, into an arena; and back. */
void kq_set_inputs(const kq_network *network, uint8_t *arena, const void *const *inputs, size_t example);
void kq_get_outputs(const kq_network *network, const uint8_t *arena, void *const *outputs, size_t example);

/* Multiply-accumulates of an operator, absent taps included. */
uint64_t kq_macs(const kq_operator *op);

#endif
