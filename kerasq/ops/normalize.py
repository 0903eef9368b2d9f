"""NORMALIZE: values divided by their root mean square, of which the mean may be subtracted before.

What is normalized together are n = window height * window width * channels / groups values: those of a group of channels in so
many pixels that follow each other. A window of one pixel and one group is a layer normalization, a window of the whole map a
group normalization, with as many groups as channels an instance normalization. In stored integers, with S the sum of the x (0
without centering), Q that of their squares and E the epsilon in the same units, mean and variance need no division:

    (x - mean) / sqrt(variance + epsilon) = (n x - S) / sqrt(n Q - S**2 + E)

The root is that of an integer, the reciprocal one of 30 bits, and the product is rounded once. Source: NUMERICS.md section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind, Tensor
from kerasq.ops import float_path
from kerasq.ops.bounds import Bounds
from kerasq.ops.families import EPSILONS
from kerasq.ops.operand import Operand, Overlap
from kerasq.ops.requantization import limits
from kerasq.ops.spec import OperatorSpec, fixed_inputs, input_shape
from kerasq.qformat import QFormat, fixed

ROOT_BITS, RECIPROCAL_BITS = 32, 30  # of the root of a sum of squares, and of its reciprocal
_PLACES = ROOT_BITS + RECIPROCAL_BITS - 1  # the reciprocal of a root r is 2**_PLACES / r


def epsilon_format(epsilon: float) -> QFormat:
    """The finest format that stores an epsilon of 0 to 2**46."""
    exponent = math.frexp(epsilon)[1]
    return fixed(16, min(15 - exponent, 63)) if epsilon else fixed(16, 0)


def count(model: Model, operator: Operator) -> int:
    """n: how many values are normalized together."""
    channels = SPEC.tensor(model, operator, "input").shape[-1]
    return operator.window[0] * operator.window[1] * channels // max(operator.groups, 1)


def is_integer(model: Model, operator: Operator) -> bool:
    """Whether inputs and output are fixed."""
    return fixed_inputs(model, operator) and model.output(operator).format.is_fixed


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """Windows that divide the map, groups that divide the channels, one epsilon; in integers the output's format."""
    x, epsilon, output = (
        SPEC.tensor(model, operator, "input"),
        SPEC.tensor(model, operator, "epsilon"),
        model.output(operator).format,
    )
    pixels, most = math.prod(x.shape[1:-1]), SPEC.limits
    if len(x.shape) < 2:
        yield f"the input must have an axis after the batch axis. Received: shape={x.shape}"
        return
    if min(operator.window) < 1 or pixels % (operator.window[0] * operator.window[1]):
        yield f"the window must divide the {pixels} pixels of the input. Received: window={operator.window}"
    elif operator.groups < 1 or x.shape[-1] % operator.groups:
        yield f"groups must divide the input's {x.shape[-1]} channels. Received: groups={operator.groups}"
    elif count(model, operator) > (largest := _most_values(model, operator)):
        yield f"at most {largest} values are normalized together. Received: {count(model, operator)}"
    if operator.centered not in (0, 1):
        yield f"centered must be 0 or 1. Received: centered={operator.centered}"
    if epsilon.shape != (1,):
        yield f"the epsilon must have shape (1,). Received: {epsilon.shape}"
    elif epsilon.data is not None and np.signbit(epsilon.data.astype(np.float64)).any():
        yield f"the epsilon must not be negative. Received: {epsilon.values.tolist()}"
    if is_integer(model, operator) and not 0 <= (output.frac_bits or 0) <= most["max_frac_bits"]:
        yield f"in integers the output must have 0 to {most['max_frac_bits']} fractional bits. Received: {output}"


def _epsilon_places(x: Tensor, epsilon: Tensor) -> int:
    return (epsilon.format.frac_bits or 0) - 2 * (x.format.frac_bits or 0)


def _scaled_epsilon(x: Tensor, epsilon: Tensor, values: int) -> int:
    """E: the epsilon times n**2, in units of a stored 1 of the input squared, rounded."""
    assert epsilon.data is not None
    product, places = int(epsilon.data[0]) * values**2, _epsilon_places(x, epsilon)
    return product << -places if places <= 0 else (product + (1 << (places - 1))) >> places


def _most_values(model: Model, operator: Operator) -> int:
    """How many values may be normalized together.

    So all but the epsilon stays within 2**62: (n m)**2, with m half the range where it is centered, as n Q - S**2 is n**2 times
    the variance, else max|x|; and n times the range times a reciprocal of 30 bits.
    """
    wide = SPEC.tensor(model, operator, "input").format.bits == 16
    return SPEC.limits["max_values"] >> (4 if wide else 0) >> (0 if operator.centered else 1)


def bounds(model: Model, operator: Operator) -> Bounds:
    """2**62, which nothing else exceeds, and the epsilon, shifted left where it is."""
    x, epsilon = SPEC.tensor(model, operator, "input"), SPEC.tensor(model, operator, "epsilon")
    assert epsilon.data is not None
    product = int(epsilon.data[0]) * count(model, operator) ** 2
    return Bounds((1 << 62) + (product << max(-_epsilon_places(x, epsilon), 0)))


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored values to normalized stored values."""
    x, epsilon, output = (
        SPEC.tensor(model, operator, "input"),
        SPEC.tensor(model, operator, "epsilon"),
        model.output(operator).format,
    )
    pixels, groups = operator.window[0] * operator.window[1], operator.groups
    runs = (-1, pixels, groups, x.shape[-1] // groups)

    if not is_integer(model, operator):

        def run_float(stored: np.ndarray) -> np.ndarray:
            values = float_path.values(x.format, stored).astype(np.float64).reshape(runs)
            normalized = _in_floats(values, float(epsilon.values[0]), bool(operator.centered))
            return float_path.store(normalized.astype(np.float32).reshape(stored.shape), output, operator)

        return run_float

    values = count(model, operator)
    added, (low, high) = _scaled_epsilon(x, epsilon, values), limits(output, operator)

    def run(stored: np.ndarray) -> np.ndarray:
        integers = stored.astype(np.int64).reshape(runs)
        sums = integers.sum(axis=(1, 3), keepdims=True) * operator.centered
        # 64 bits without a sign, in which the difference is exact even where its parts are not.
        squares = np.uint64(values) * (integers**2).sum(axis=(1, 3), keepdims=True).astype(np.uint64)
        reciprocals, places = _reciprocal_roots(squares - sums.astype(np.uint64) ** 2 + np.uint64(added))
        shift = _PLACES - (output.frac_bits or 0) - places
        products = (values * integers - sums) * reciprocals
        rounded = (products + ((1 << shift) >> 1)) >> shift
        return np.clip(rounded, low, high).astype(output.dtype).reshape(stored.shape)

    return run


def _reciprocal_roots(squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """floor(2**61 / floor(sqrt(4**p d))) of uint64 integers d, 0 as 1, and p, for which 4**p d has 63 or 64 bits."""
    squares = np.maximum(squares, np.uint64(1))
    places = np.zeros(squares.shape, np.uint64)
    for step in (16, 8, 4, 2, 1):
        small = (squares << (places * np.uint64(2))) >> np.uint64(64 - 2 * step) == 0
        places += np.where(small, np.uint64(step), np.uint64(0))
    scaled = squares << (places * np.uint64(2))
    roots = np.minimum(np.sqrt(scaled.astype(np.float64)), 2.0**ROOT_BITS - 1).astype(np.uint64)  # off by one at most
    roots -= roots * roots > scaled
    roots += scaled - roots * roots > 2 * roots
    return (np.uint64(1 << _PLACES) // roots).astype(np.int64), places.astype(np.int64)


def _in_floats(values: np.ndarray, epsilon: float, centered: bool) -> np.ndarray:
    """float64 values of runs (-1, pixels, groups, channels of a group) normalized; 0 where what they are divided by is 0."""
    with np.errstate(all="ignore"):
        if centered:
            values = values - values.mean(axis=(1, 3), keepdims=True)
        divisor = np.sqrt((values**2).mean(axis=(1, 3), keepdims=True) + epsilon)
        return np.where(divisor == 0, 0.0, values / divisor)


SPEC = OperatorSpec(
    kind=OperatorKind.NORMALIZE,
    operands=(Operand("input", overlap=Overlap.GROUP), Operand("epsilon", EPSILONS, constant=True)),
    output_shape=input_shape,
    bounds=bounds,
    prepare=prepare,
    rules=rules,
    attributes=("window", "groups", "centered"),
    limits={
        "max_values": 1 << 20,  # normalized together: a 16th of it of 16 bits, half where the mean is left
        "max_frac_bits": 16,  # of the output, in integers
    },
    since=5,
    is_integer=is_integer,
    float_tolerance=1e-5,  # sums in another order
)
