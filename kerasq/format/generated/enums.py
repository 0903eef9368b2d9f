"""Generated from kerasq.fbs by kerasq/format/regenerate.py."""

import enum

# Members of the enum Type; each is the name of a family of QFormats.
TYPES = (
    "FLOAT32",
    "FIXED4",
    "FIXED8",
    "FIXED16",
    "FIXED32",
    "UFIXED4",
    "UFIXED8",
    "UFIXED16",
    "SIGN",
    "FIXED2",
)


class Layout(enum.StrEnum):
    """How the rows of a constant lie in a file, in the order of the schema's enum: kerasq/format/packing.py."""

    ROWS = "ROWS"
    PAIRS = "PAIRS"


class OperatorKind(enum.StrEnum):
    """The operators of the file format, in the order of the schema's enum. NUMERICS.md section 3 defines each."""

    CONV_2D = "CONV_2D"
    DENSE = "DENSE"
    ADD = "ADD"
    MAX_POOL_2D = "MAX_POOL_2D"
    AVERAGE_POOL_2D = "AVERAGE_POOL_2D"
    RESHAPE = "RESHAPE"
    SOFTMAX = "SOFTMAX"
    QUANTIZE = "QUANTIZE"
    MUL = "MUL"
    CONCAT = "CONCAT"
    TRANSPOSE = "TRANSPOSE"
    LOOKUP = "LOOKUP"
    ARGMAX = "ARGMAX"
    GATHER = "GATHER"
    NORMALIZE = "NORMALIZE"
