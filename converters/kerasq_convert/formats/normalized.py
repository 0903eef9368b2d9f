"""The format of what a normalization gives where nothing was observed of it, as in models that were trained with quantizers.

These stand behind gamma and beta; what lies before them in a file no quantizer of the model rounds. It gets 16 bits, which
hold all that the quantizer tells from its limits and no more: with 2**b steps of s behind a factor g that is 2**b s / g. As steps
are powers of 2, half a step of the 16 bits is less than 2**(b - 15) s / g, and the mean error half of that. Behind factors that
are equal it moves its share of a step of all values to the neighbour: a 256th of those of 8 bits at most.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from kerasq import ops
from kerasq.format import OperatorKind
from kerasq.qformat import QFormat, fixed
from kerasq_convert.graph import Node, Normalize, Scaling, moves_values

_MOST_FRAC_BITS = ops.TABLE[OperatorKind.NORMALIZE].limits["max_frac_bits"]


def as_integers(format_: QFormat) -> QFormat:
    """A fixed format with as many fractional bits as a normalization in integers gives."""
    assert format_.frac_bits is not None
    return format_.with_frac_bits(min(max(format_.frac_bits, 0), _MOST_FRAC_BITS))


def unobserved_format(node: Normalize, readers: Mapping[str, Sequence[Node]]) -> QFormat:
    """16 bits for what is normalized: n values of variance 1 are within sqrt(n - 1), of mean square 1 within sqrt(n)."""
    count = math.prod(node.window) * node.shape[-1] // node.groups
    largest = math.sqrt(count - node.centered)
    told_apart = _told_apart(node.output, readers)
    largest = largest if told_apart is None else min(largest, told_apart)
    frac_bits = fixed(16).finest(-largest, largest)
    return as_integers(fixed(16, _MOST_FRAC_BITS if frac_bits is None else frac_bits))


def _told_apart(value: str, readers: Mapping[str, Sequence[Node]]) -> float | None:
    """How large a value may be before all channels of the quantizer behind gamma and beta saturate; `None` if there is none."""
    if len(readers[value]) != 1:
        return None
    (reader,) = readers[value]
    if moves_values(reader):
        return _told_apart(reader.output, readers)
    if not isinstance(reader, Scaling) or len(reader.inputs) > 1 or reader.format is None or not reader.format.is_fixed:
        return None
    scale = np.abs(reader.kernel.reshape(-1) * (1.0 if reader.multiplier is None else reader.multiplier))
    offset = np.broadcast_to(0.0 if reader.bias is None else reader.bias, scale.shape)
    reach = np.maximum(np.abs(reader.format.min - offset), np.abs(reader.format.max - offset))
    return float((reach[scale > 0] / scale[scale > 0]).max(initial=0.0))
