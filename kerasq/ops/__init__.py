"""The operators of the file format, one module per kind, and the one table that all parts of kerasq drive them by.

A row of `TABLE` holds an operator's rules, its shape rule, its accumulator bound and its semantics in NumPy. The converter asks
for shapes and bounds, the verifier for problems, the reference engine for a callable. `kerasq/NUMERICS.md` defines what the
operators compute; fixed-point results are equal to it in every bit. The division of labour is TFLM's: *problems* and *prepare*
look at everything once, and what prepare returns runs blind.
"""

from kerasq.ops.bounds import Bounds, width
from kerasq.ops.operand import Operand, Overlap
from kerasq.ops.spec import OperatorSpec
from kerasq.ops.table import (
    TABLE,
    bounds,
    is_integer,
    macs,
    make,
    operand,
    operand_index,
    output_shape,
    prepare,
    problems,
    with_widths,
)

Slot = Operand  # its name in version 0.1.0

__all__ = [
    "TABLE",
    "Bounds",
    "Operand",
    "OperatorSpec",
    "Overlap",
    "Slot",
    "bounds",
    "is_integer",
    "macs",
    "make",
    "operand",
    "operand_index",
    "output_shape",
    "prepare",
    "problems",
    "width",
    "with_widths",
]
