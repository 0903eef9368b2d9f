"""TensorFlow's fake quantization of activations, `tf.quantization.fake_quant_with_min_max_args` and `_vars`.

It clips to a range of 2**bits - 1 equal steps, nudged so that zero is one of its values, and rounds to the nearest. Where the
step is a power of two this is a format of ours, exactly, and the value gets it. Where it is none, the range is kept as a
clamp, and the converter chooses the format: the network's own rounding is then replaced by that one, as a note says.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.importing import Importer
from kerasq_convert.frontend.quantizer_pattern import stored_as
from kerasq_convert.graph import Identity


def fake_quantization(importer: Importer, operation: Any) -> None:
    """FakeQuantWithMinMaxArgs and FakeQuantWithMinMaxVars."""
    low, high = _range(importer, operation)
    first = 1 if operation.get_attr("narrow_range") else 0
    last = (1 << operation.get_attr("num_bits")) - 1
    if not low <= 0 <= high or low == high:
        raise UnsupportedError(f"fake quantization with the range {low:g} .. {high:g} is not supported: it must hold 0")
    step = float((np.float32(high) - np.float32(low)) / np.float32(last - first))
    zero = min(max(math.floor(first - low / step + 0.5), first), last)
    below, above = first - zero, last - zero
    common = importer.common(operation, operation.inputs[0])
    mantissa, exponent = math.frexp(step)
    stored = stored_as(below, above, 1 - exponent) if mantissa == 0.5 else None
    if stored is not None:
        importer.add(Identity(**common, format=stored[0], clamp=stored[1]))
        return
    importer.notes.append(
        f"layer {importer.layer(operation)!r}: its fake quantization has steps of {step:.6g}, no power of two; its range is "
        "kept, and its rounding replaced by that of the format chosen"
    )
    importer.add(Identity(**common, clamp=(below * step, above * step)))


def _range(importer: Importer, operation: Any) -> tuple[float, float]:
    if operation.type == "FakeQuantWithMinMaxArgs":
        return operation.get_attr("min"), operation.get_attr("max")
    limits = [importer.constant(tensor) for tensor in operation.inputs[1:]]
    if any(limit is None or np.size(limit) != 1 for limit in limits):
        raise UnsupportedError("fake quantization by a range that is not one constant is not supported")
    low, high = (float(np.reshape(limit, ())) for limit in limits if limit is not None)
    return low, high
