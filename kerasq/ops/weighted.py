"""What CONV_2D and DENSE share: kernel, multiplier and bias, their rules, the accumulator proof and the stages after the sum.

A CONV_2D may have one operand more, the addend: an activation that is added before the one requantization.
"""

from __future__ import annotations

import dataclasses
import math
import weakref
from collections.abc import Callable, Hashable, Iterator

import numpy as np

from kerasq.format.model import Model, Operator, Tensor
from kerasq.ops import float_path
from kerasq.ops.bounds import Bounds
from kerasq.ops.families import KERNELS, VECTORS
from kerasq.ops.operand import Operand
from kerasq.ops.requantization import requantization, rounding_half
from kerasq.ops.spec import OperatorSpec, Shape

CONSTANTS = (
    Operand("kernel", KERNELS, constant=True),
    Operand("multiplier", VECTORS, constant=True, optional=True, per_channel=True),
    Operand("bias", VECTORS, constant=True, optional=True, per_channel=True),
)
FLOAT_TOLERANCE = 1e-5  # float32 sums in another order


@dataclasses.dataclass(frozen=True)
class Operands:
    """The operands of a weighted operator, with what follows from their formats."""

    x: Tensor
    kernel: Tensor
    multiplier: Tensor | None
    bias: Tensor | None
    addend: Tensor | None
    output: Tensor

    @classmethod
    def of(cls, spec: OperatorSpec, model: Model, operator: Operator) -> Operands:
        """The operands of an operator that lists what its row says."""
        return cls(
            x=spec.tensor(model, operator, "input"),
            kernel=spec.tensor(model, operator, "kernel"),
            multiplier=spec.optional(model, operator, "multiplier"),
            bias=spec.optional(model, operator, "bias"),
            addend=spec.optional(model, operator, "addend") if spec.has("addend") else None,
            output=model.output(operator),
        )

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        """Of input and kernel."""
        return self.x.shape, self.kernel.shape

    @property
    def are_fixed(self) -> bool:
        """Whether the operator computes in integers."""
        present = (tensor for tensor in (self.x, self.kernel, self.multiplier, self.bias, self.addend) if tensor is not None)
        return not any(tensor.format.is_float for tensor in present)

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


def vector_problems(operands: Operands) -> Iterator[str]:
    """Rules of multiplier and bias."""
    channels = operands.kernel.shape[:1]
    for name, tensor in (("multiplier", operands.multiplier), ("bias", operands.bias)):
        if tensor is not None and tensor.shape != channels:
            yield f"the {name} must have one value per output channel: {channels}. Received: shape={tensor.shape}"
    if operands.bias is not None and operands.are_fixed and operands.bias_places < 0:
        yield (
            f"the bias must have at most as many fractional bits as the sum that it is added to, {operands.total_frac_bits}. "
            f"Received: {operands.bias.format}"
        )


def addend_problems(operands: Operands) -> Iterator[str]:
    """Rules of the addend."""
    output = operands.output
    if operands.addend is None:
        return
    if operands.addend.shape != output.shape:
        yield f"the addend must have the output's shape, {output.shape}. Received: shape={operands.addend.shape}"
    if operands.are_fixed and operands.addend_places < 0:
        yield (
            f"the addend must have at most as many fractional bits as the sum that it is added to, {operands.total_frac_bits}. "
            f"Received: {operands.addend.format}"
        )


def bounds(operands: Operands) -> Bounds:
    """A = (sum of |w|) * max|x| and T = A * |m| + |b| * 2**(n_t - n_b) + max|r| * 2**(n_t - n_r) + 2**(s-1): the largest."""
    magnitudes, largest_input = operands.kernel.magnitudes, operands.x.format.largest_magnitude
    largest_addend = 0 if operands.addend is None else operands.addend.format.largest_magnitude << operands.addend_places
    half = rounding_half(operands.total_frac_bits, operands.output.format)
    accumulator = int(magnitudes.max()) * largest_input
    return Bounds(accumulator, _largest_total(operands, magnitudes, largest_input) + largest_addend + half)


def _largest_total(operands: Operands, magnitudes: np.ndarray, largest_input: int) -> int:
    """The largest A * |m| + |b| * 2**(n_t - n_b) of all channels."""
    multiplier, bias = stored(operands.multiplier), stored(operands.bias)
    if multiplier is None and bias is None:
        return int(magnitudes.max()) * largest_input
    factors = np.ones_like(magnitudes) if multiplier is None else np.abs(multiplier.astype(np.int64))
    offsets = np.zeros_like(magnitudes) if bias is None else np.abs(bias.astype(np.int64))
    places = 0 if bias is None else operands.bias_places
    # float64 first: it tells which channels can be the largest, and whether int64 holds all of them exactly.
    shifted = np.where(offsets == 0, 0.0, np.ldexp(offsets.astype(np.float64), min(places, 1000)))
    estimates = magnitudes.astype(np.float64) * largest_input * factors + shifted
    if estimates.max() < 1 << 62:
        return int((magnitudes * largest_input * factors + np.where(offsets == 0, 0, offsets << min(places, 62))).max())
    near = estimates >= estimates.max() * (1 - 1e-12)
    channels = np.unique(np.stack([magnitudes[near], factors[near], offsets[near]], axis=1), axis=0)
    return max(a * largest_input * m + (b << (places if b else 0)) for a, m, b in channels.tolist())


# Kernels as they are multiplied, by tensor, for as long as an operator holds them: operators that share a kernel share these.
_ARRANGED: weakref.WeakKeyDictionary[Tensor, weakref.WeakValueDictionary[Hashable, np.ndarray]] = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True)
class Stages:
    """A weighted operator, ready to run.

    Attributes:
        x, kernel: The input and the constant.
        exact: Whether stored integers are summed, exactly, rather than float32 values.
        sum_dtype: In which to sum.
        finish: `finish(sums, out, addend)` writes stored outputs; `sums`, output channels last, is overwritten; `addend` are
            the stored values of the addend, or `None` where the operator has none.
        dtype: Of the output.
    """

    x: Tensor
    kernel: Tensor
    exact: bool
    sum_dtype: np.dtype
    finish: Callable[[np.ndarray, np.ndarray, np.ndarray | None], None]
    dtype: np.dtype

    def inputs(self, stored: np.ndarray) -> np.ndarray:
        """What is summed of stored inputs; still to be cast to `sum_dtype`."""
        return stored if self.exact else float_path.values(self.x.format, stored)

    def arranged(self, key: Hashable, arrange: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """`arrange(weights)` of the weights in `sum_dtype`; computed for the first of the operators that share it.

        Args:
            key: What `arrange` depends on.
        """
        assert self.kernel.data is not None
        arrangements = _ARRANGED.setdefault(self.kernel, weakref.WeakValueDictionary())
        weights = arrangements.get((key, self.exact, self.sum_dtype))
        if weights is None:
            values = self.kernel.data if self.exact else float_path.values(self.kernel.format, self.kernel.data)
            weights = arrangements[key, self.exact, self.sum_dtype] = arrange(values.astype(self.sum_dtype, copy=False))
        return weights


def macs(operands: Operands) -> int:
    """Output elements times the weights of an output channel, absent taps included."""
    return math.prod(operands.output.shape) * math.prod(operands.kernel.shape[1:])


def stages(operands: Operands, operator: Operator) -> Stages:
    """Kernel and finishing stage of a CONV_2D or DENSE operator that has no problems."""
    return _integer_stages(operands, operator) if operands.are_fixed else _float_stages(operands, operator)


def _integer_stages(operands: Operands, operator: Operator) -> Stages:
    output = operands.output.format
    factor, offset = stored(operands.multiplier), stored(operands.bias)
    if factor is not None:
        factor = factor.astype(np.int64)
    if offset is not None:
        # Where the bias is 0 the shift is unlimited, else the proof keeps the result inside 64 bits.
        offset = np.where(offset == 0, 0, offset.astype(np.int64) << min(operands.bias_places, 62))
    places = 0 if operands.addend is None else operands.addend_places
    proven = bounds(operands)
    rounding = requantization(operator, output, operands.total_frac_bits, proven, factor, offset, places, folded=False)
    return Stages(operands.x, operands.kernel, True, rounding.dtype, rounding.finish, output.dtype)


def _float_stages(operands: Operands, operator: Operator) -> Stages:
    output = operands.output.format
    factor, offset = _float_vector(operands.multiplier), _float_vector(operands.bias)

    def finish(sums: np.ndarray, out: np.ndarray, addend: np.ndarray | None) -> None:
        if factor is not None:
            np.multiply(sums, factor, out=sums)
        if offset is not None:
            np.add(sums, offset, out=sums)
        if addend is not None and operands.addend is not None:
            np.add(sums, float_path.values(operands.addend.format, addend), out=sums)
        out[...] = float_path.store(sums, output, operator)

    return Stages(operands.x, operands.kernel, False, np.dtype(np.float32), finish, output.dtype)


def _float_vector(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None or tensor.data is None else float_path.values(tensor.format, tensor.data)
