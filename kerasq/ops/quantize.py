"""QUANTIZE: any activation format to any other; with its clamp also the stand-alone ReLU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import float_path
from kerasq.ops.bounds import Bounds
from kerasq.ops.operand import Operand, Overlap
from kerasq.ops.requantization import requantization, rounding_half
from kerasq.ops.spec import OperatorSpec, input_shape
from kerasq.qformat import QFormat


def _input_format(model: Model, operator: Operator) -> QFormat:
    return SPEC.tensor(model, operator, "input").format


def bounds(model: Model, operator: Operator) -> Bounds:
    """max|x| and the rounding half."""
    source = _input_format(model, operator)
    half = rounding_half(source.frac_bits or 0, model.output(operator).format)
    return Bounds(source.largest_magnitude + half)


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored values of one format to those of the other."""
    source, output = _input_format(model, operator), model.output(operator).format
    if source.is_float:
        return lambda x: float_path.store(x, output, operator)
    rounding = requantization(operator, output, source.frac_bits or 0, bounds(model, operator))

    def run(x: np.ndarray) -> np.ndarray:
        y = np.empty(x.shape, output.dtype)
        rounding.finish(np.multiply(x, rounding.gain, dtype=rounding.dtype), y)
        return y

    return run


SPEC = OperatorSpec(
    kind=OperatorKind.QUANTIZE,
    operands=(Operand("input", overlap=Overlap.ELEMENT_WISE),),
    output_shape=input_shape,
    bounds=bounds,
    prepare=prepare,
)
