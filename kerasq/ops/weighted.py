"""What CONV_2D and DENSE share: kernel, multiplier and bias, their rules, the accumulator proof and the stages after the sum.

A CONV_2D may list a fifth input, the addend: an activation that is added before the one requantization.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from kerasq.format.model import Model, Operator, Tensor
from kerasq.ops import float_path
from kerasq.ops.bounds import Bounds
from kerasq.ops.requantization import requantization, rounding_half
from kerasq.ops.slots import KERNELS, VECTORS, Slot
from kerasq.ops.spec import Shape, fixed_inputs
from kerasq.qformat import QFormat

SLOTS = (
    Slot("input"),
    Slot("kernel", KERNELS, constant=True),
    Slot("multiplier", VECTORS, constant=True, optional=True),
    Slot("bias", VECTORS, constant=True, optional=True),
)
ADDEND = Slot("addend", trailing=True)


@dataclasses.dataclass(frozen=True)
class Operands:
    """The operands of a weighted operator, in the order of `SLOTS` and `ADDEND`, with what follows from their formats."""

    x: Tensor
    kernel: Tensor
    multiplier: Tensor | None
    bias: Tensor | None
    addend: Tensor | None = None

    @classmethod
    def of(cls, model: Model, operator: Operator) -> Operands:
        """The operands of an operator whose inputs fit the slots."""
        x, kernel, *others = model.operands(operator)
        assert x is not None
        assert kernel is not None
        return cls(x, kernel, *others)

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        """Of input and kernel."""
        return self.x.shape, self.kernel.shape

    @property
    def total_frac_bits(self) -> int:
        """n_t = n_x + n_w + n_m: fractional bits of the sum after the multiplier."""
        return sum(frac_bits(tensor) for tensor in (self.x, self.kernel, self.multiplier))

    @property
    def bias_places(self) -> int:
        """n_t - n_b: places by which the bias is shifted left before it is added."""
        return self.total_frac_bits - frac_bits(self.bias)

    @property
    def addend_places(self) -> int:
        """n_t - n_r: places by which the addend is shifted left before it is added."""
        return self.total_frac_bits - frac_bits(self.addend)


def frac_bits(tensor: Tensor | None) -> int:
    """Fractional bits; 0 of an absent operand."""
    return 0 if tensor is None else tensor.format.frac_bits or 0


def stored(tensor: Tensor | None) -> np.ndarray | None:
    """Stored values of a constant, `None` where it is absent."""
    return None if tensor is None else tensor.data


def vector_problems(model: Model, operator: Operator) -> Iterator[str]:
    """Rules of multiplier and bias."""
    operands = Operands.of(model, operator)
    channels = operands.kernel.shape[:1]
    for name, tensor in (("multiplier", operands.multiplier), ("bias", operands.bias)):
        if tensor is not None and tensor.shape != channels:
            yield f"the {name} must have one value per output channel: {channels}. Received: shape={tensor.shape}"
    if operands.bias is not None and fixed_inputs(model, operator) and operands.bias_places < 0:
        yield (
            f"the bias must have at most as many fractional bits as the sum that it is added to, {operands.total_frac_bits}. "
            f"Received: {operands.bias.format}"
        )


def addend_problems(model: Model, operator: Operator) -> Iterator[str]:
    """Rules of the addend."""
    operands, output = Operands.of(model, operator), model.output(operator)
    if operands.addend is None:
        return
    if operands.addend.shape != output.shape:
        yield f"the addend must have the output's shape, {output.shape}. Received: shape={operands.addend.shape}"
    if fixed_inputs(model, operator) and operands.addend_places < 0:
        yield (
            f"the addend must have at most as many fractional bits as the sum that it is added to, {operands.total_frac_bits}. "
            f"Received: {operands.addend.format}"
        )


def bounds(model: Model, operator: Operator) -> Bounds:
    """A = (sum of |w|) * max|x| and T = A * |m| + |b| * 2**(n_t - n_b) + max|r| * 2**(n_t - n_r) + 2**(s-1): the largest."""
    operands = Operands.of(model, operator)
    kernel, multiplier, bias = (stored(tensor) for tensor in (operands.kernel, operands.multiplier, operands.bias))
    assert kernel is not None
    # Positive and negative weights apart: in the kernel's own type, |-128| would not fit. There are fewer than 2**47 weights of
    # 16 bits, so the int64 sums are exact. What follows may exceed 64 bits: Python's integers.
    rows = kernel.reshape(len(kernel), -1)
    sums = [part(rows, 0).sum(axis=1, dtype=np.int64) for part in (np.maximum, np.minimum)]
    magnitudes = (sums[0] - sums[1]).tolist()
    largest_input = _largest(operands.x.format)
    largest_addend = 0 if operands.addend is None else _largest(operands.addend.format) << operands.addend_places
    factors = [1] * len(magnitudes) if multiplier is None else multiplier.tolist()
    offsets = [0] * len(magnitudes) if bias is None else bias.tolist()
    places = 0 if bias is None else operands.bias_places
    totals = (
        magnitude * largest_input * abs(factor) + (abs(offset) << places)
        for magnitude, factor, offset in zip(magnitudes, factors, offsets, strict=True)
    )
    half = rounding_half(operands.total_frac_bits, model.output(operator).format)
    return Bounds(max(magnitudes) * largest_input, max(totals) + largest_addend + half)


def _largest(source: QFormat) -> int:
    return max(-source.min_int, source.max_int)


@dataclasses.dataclass(frozen=True)
class Stages:
    """A weighted operator, ready to run.

    Attributes:
        kernel: In the type in which to sum stored inputs; shape as stored.
        finish: `finish(sums, out, addend)` writes stored outputs; `sums`, output channels last, is overwritten; `addend` are
            the stored values of the addend, or `None` where the operator has none.
        dtype: Of the output.
    """

    kernel: np.ndarray
    finish: Callable[[np.ndarray, np.ndarray, np.ndarray | None], None]
    dtype: np.dtype


def stages(model: Model, operator: Operator) -> Stages:
    """Kernel and finishing stage of a CONV_2D or DENSE operator that has no problems."""
    return _integer_stages(model, operator) if fixed_inputs(model, operator) else _float_stages(model, operator)


def _integer_stages(model: Model, operator: Operator) -> Stages:
    operands, output = Operands.of(model, operator), model.output(operator).format
    kernel, factor, offset = (stored(tensor) for tensor in (operands.kernel, operands.multiplier, operands.bias))
    assert kernel is not None
    if factor is not None:
        factor = factor.astype(np.int64)
    if offset is not None:
        # The shift is unlimited where the bias is 0, hence Python's integers.
        offset = np.array([value << operands.bias_places for value in offset.tolist()], np.int64)
    places = 0 if operands.addend is None else operands.addend_places
    rounding = requantization(operator, output, operands.total_frac_bits, bounds(model, operator), factor, offset, places)
    gain = rounding.gain.reshape(-1, *[1] * (kernel.ndim - 1))
    return Stages(kernel.astype(rounding.dtype) * gain, rounding.finish, output.dtype)


def _float_stages(model: Model, operator: Operator) -> Stages:
    operands, output = Operands.of(model, operator), model.output(operator).format
    factor, offset = _float_vector(operands.multiplier), _float_vector(operands.bias)
    kernel = _float_vector(operands.kernel)
    assert kernel is not None

    def finish(sums: np.ndarray, out: np.ndarray, addend: np.ndarray | None) -> None:
        if factor is not None:
            np.multiply(sums, factor, out=sums)
        if offset is not None:
            np.add(sums, offset, out=sums)
        if addend is not None and operands.addend is not None:
            np.add(sums, float_path.values(operands.addend.format, addend), out=sums)
        out[...] = float_path.store(sums, output, operator)

    return Stages(kernel * np.float32(_step(operands.x.format)), finish, output.dtype)


def _float_vector(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None or tensor.data is None else float_path.values(tensor.format, tensor.data)


def _step(source: QFormat) -> float:
    """What a stored input counts: the kernel is scaled by it instead of the input, which changes no rounding."""
    return source.step if source.is_fixed else 1.0
