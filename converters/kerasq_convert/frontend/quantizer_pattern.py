"""Recognises what a kerasq quantizer leaves in a graph.

`FixedPoint` computes `stop_gradient(q) + (y - stop_gradient(y))` with q = r * 2**-n, r = floor(v) + (v - floor(v) >= 1/2),
v = clip(x) * 2**n. The bracket is zero in value, so the whole is the quantization of x to the format that n and the limits
of the clip tell. Quantizers of weights need none of this: they depend on no input and are folded to constants.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kerasq.qformat import QFormat, fixed
from kerasq_convert.graph import UNLIMITED, Limits

Constant = Callable[[Any], np.ndarray | None]
_TRANSPARENT = ("Identity", "StopGradient", "PreventGradient")


@dataclasses.dataclass(frozen=True)
class Quantizer:
    """A quantizer found: `result` is `source`, clamped, in `format`, by way of the operations `inner`.

    Activations are stored in 8 or 16 bits; a quantizer of other widths uses some of their values only, and clamps.
    """

    result: Any
    source: Any
    format: QFormat
    clamp: Limits
    inner: frozenset[Any]


def find_quantizers(operations: list[Any], constant: Constant) -> dict[Any, Quantizer]:
    """All quantizers of activations among `operations`, by the operation that yields their result."""
    matches = (match(operation, constant) for operation in operations if operation.type in ("Add", "AddV2"))
    return {quantizer.result.op: quantizer for quantizer in matches if quantizer is not None}


def match(operation: Any, constant: Constant) -> Quantizer | None:
    """The quantizer that ends in `operation`, an addition; `None` if there is none."""
    for a, b in (operation.inputs, reversed(list(operation.inputs))):
        difference = _strip(b)
        if difference.op.type == "Sub" and constant(difference) is None:
            left, right = (_strip(tensor) for tensor in difference.op.inputs)
            if left.name == right.name:
                rounding = _rounding(_strip(a), constant)
                if rounding is not None:
                    source = rounding[0]
                    return Quantizer(operation.outputs[0], *rounding, frozenset(_between(operation, source.name)))
    return None


def _strip(tensor: Any) -> Any:
    while tensor.op.type in _TRANSPARENT:
        tensor = tensor.op.inputs[0]
    return tensor


def _scalar(tensor: Any, constant: Constant) -> float | None:
    value = constant(tensor)
    return float(np.reshape(value, ())) if value is not None and np.size(value) == 1 else None


def _with_scalar(tensor: Any, kinds: tuple[str, ...], constant: Constant) -> tuple[Any, float] | None:
    """Operand and constant of a binary operation of one of `kinds`."""
    operation = tensor.op
    if operation.type in kinds:
        for x, c in (operation.inputs, reversed(list(operation.inputs))):
            value = _scalar(c, constant)
            if value is not None and constant(x) is None:
                return _strip(x), value
    return None


def _rounding(tensor: Any, constant: Constant) -> tuple[Any, QFormat, Limits] | None:
    scaled = _with_scalar(tensor, ("Mul",), constant)
    if scaled is None or scaled[1] <= 0 or math.frexp(scaled[1])[0] != 0.5:
        return None
    frac_bits = 1 - math.frexp(scaled[1])[1]
    rounded = scaled[0]
    if rounded.op.type not in ("Add", "AddV2"):
        return None
    floors = [_strip(t) for t in rounded.op.inputs if _strip(t).op.type == "Floor"]
    if len(floors) != 1:
        return None
    v = _with_scalar(_strip(floors[0].op.inputs[0]), ("Mul",), constant)
    if v is None or v[1] != 2.0**frac_bits:
        return None
    return _clip(v[0], frac_bits, constant)


def _clip(tensor: Any, frac_bits: int, constant: Constant) -> tuple[Any, QFormat, Limits] | None:
    """What is clipped, the narrowest format of an activation that holds the limits, and they where it holds more."""
    limits = []
    if tensor.op.type == "ClipByValue":
        x, *bounds = tensor.op.inputs
        limits = [_scalar(bound, constant) for bound in bounds]
        tensor = _strip(x)
    else:
        while (part := _with_scalar(tensor, ("Minimum", "Maximum"), constant)) is not None and len(limits) < 2:
            tensor = part[0]
            limits.append(part[1])
    if len(limits) != 2 or None in limits:
        return None
    low, high = sorted(int(limit * 2.0**frac_bits) for limit in limits if limit is not None)
    stored = stored_as(low, high, frac_bits)
    return None if stored is None else (tensor, *stored)


def stored_as(low: int, high: int, frac_bits: int) -> tuple[QFormat, Limits] | None:
    """The narrowest format of an activation that holds the integers low to high, and these as limits where it holds more."""
    for bits in (8, 16):
        format_ = fixed(bits, frac_bits, signed=low < 0)
        if format_.min_int <= low and high <= format_.max_int:
            full = (format_.min_int, format_.max_int) == (low, high)
            return format_, UNLIMITED if full else (low * format_.step, high * format_.step)
    return None


def _between(operation: Any, source: str) -> Iterator[Any]:
    """Operations from `operation` back to the tensor `source`, itself not included."""
    seen, waiting = set(), [operation]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        if current is not operation and current.type not in _TRANSPARENT:  # those may serve others too
            yield current
        waiting.extend(tensor.op for tensor in current.inputs if tensor.name != source)
