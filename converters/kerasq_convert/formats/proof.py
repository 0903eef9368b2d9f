"""How many fractional bits the accumulator proof (NUMERICS.md section 3) leaves for automatic formats.

A sum is carried with n_t = n_x + n_w + n_m fractional bits. Kernels or multipliers that are tiny beside a bias, or beside the
step of the output, would ask for more bits than 64 hold; the last of them decide nothing. The proof itself is the operator's own
(`kerasq.ops.bounds`), for the constants as they would be stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from kerasq import ops
from kerasq.format import Model, Tensor
from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS, QFormat
from kerasq_convert.graph import WeightedNode
from kerasq_convert.operators import operator_of
from kerasq_convert.roles import Part

BITS = 63  # of magnitudes that a signed sum of 64 bits holds


def finest_proven(
    candidate: QFormat, node: WeightedNode, operands: Callable[[QFormat], Mapping[str, Tensor]], output: QFormat
) -> QFormat:
    """`candidate`, or the finest format of its family that has fewer fractional bits and is proven.

    Args:
        candidate: A format for one of a node's constants.
        node: The node.
        operands: What the node's operator reads, by the names of its operands, with that constant in a format.
        output: The format of its output.

    Returns:
        The format; the coarsest of the family where none is proven.
    """
    while (excess := _excess_bits(node, operands(candidate), output)) > 0 and frac_bits(candidate) > MIN_FRAC_BITS:
        candidate = candidate.with_frac_bits(max(frac_bits(candidate) - excess, MIN_FRAC_BITS))
    return candidate


def _excess_bits(node: WeightedNode, operands: Mapping[str, Tensor], output: QFormat) -> int:
    """By how many bits the largest intermediate result is too long."""
    tensors = (*operands.values(), Tensor(Part.BUFFER, node.shape, output))
    kind, attributes = operator_of(node)
    indices = {name: index for index, name in enumerate(operands)}
    bounds = ops.bounds(Model(tensors, (), (), ()), ops.make(kind, indices, len(operands), **attributes))
    return 0 if bounds is None else bounds.largest.bit_length() - BITS


def activations(node: WeightedNode, source: QFormat, addends: list[QFormat], total_bits: int) -> dict[str, Tensor]:
    """Input and addend as operands: an addend with no more fractional bits than the sum, which it is requantized to."""
    tensors = {"input": Tensor("input", node.shape, source)}
    for addend in addends:
        tensors["addend"] = Tensor("addend", node.shape, at_most(addend, total_bits))
    return tensors


def constant(part: Part, values: np.ndarray, format_: QFormat, stored: np.ndarray | None = None) -> Tensor:
    """A constant as the proof reads it."""
    return Tensor(part, values.shape, format_, data=format_.quantize(values) if stored is None else stored)


def frac_bits(*formats: QFormat) -> int:
    """Fractional bits of a product of values in these formats; 0 of formats that have none."""
    return sum(format_.frac_bits or 0 for format_ in formats)


def at_most(format_: QFormat, most: int) -> QFormat:
    """`format_` with no more fractional bits than `most`, within what formats can have."""
    if not format_.is_fixed or format_.frac_bits is None or format_.frac_bits <= most:
        return format_
    return format_.with_frac_bits(min(max(most, MIN_FRAC_BITS), MAX_FRAC_BITS))
