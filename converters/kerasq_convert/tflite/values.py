"""How TFLite has what a .kq file stores: types, scales, zero points, clamps.

| format | TFLite |
| --- | --- |
| FIXED8_n, FIXED16_n | int8, int16; scale 2^-n, zero point 0 |
| UFIXED8_n | int8, scale 2^-n, zero point -128, or -128 + its zero (zeros.py): the stored integer less 128 |
| FLOAT32 | float32 |
| kernels of SIGN, FIXED2, FIXED4, FIXED8 | int8 |
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kerasq.format.model import Model, Operator, Tensor
from kerasq.ops import operand_index
from kerasq.qformat import QFormat, fixed
from kerasq_convert.tflite.builder import Builder

MOST_STEPS = 2.0**30  # of an output's format, in what may be computed for it
_MOST_BESIDE_8_BITS, _MOST_BESIDE_16_BITS = 2.0**20, 2.0**15  # of twice the larger step of a sum's terms, by the sum's
_FLIP = 128  # what unsigned integers are less by
_RELU, _RELU_N1_TO_1, _RELU6 = 1, 2, 3  # ActivationFunctionType


@dataclasses.dataclass
class Network:
    """A network on its way into a TFLite file.

    Attributes:
        model: As it is.
        builder: The file.
        places: Tensors of the file by those of the model, activations only.
        zeros: The stored integers that mean 0, by index of the activation, of those where that is not 0.
        clipped: Weights of -128, stored as -127.
    """

    model: Model
    builder: Builder
    places: dict[int, int]
    zeros: Mapping[int, int]
    clipped: int = 0

    def zero(self, index: int) -> int:
        """The stored integer that means 0 in the tensor of an activation."""
        return self.zeros.get(index, 0)

    def activation(self, index: int) -> int:
        """The tensor of an activation, added where it is not there yet."""
        if index not in self.places:
            tensor = self.model.tensors[index]
            self.places[index] = self.add(tensor.name, tensor.shape, tensor.format, self.zero(index))
        return self.places[index]

    def add(self, name: str, shape: tuple[int, ...], form: QFormat, zero: int = 0) -> int:
        """Adds a tensor that will be computed, in a format of ours, `zero` the stored integer that means 0."""
        return self.builder.tensor(name, shape, dtype_of(form), scales_of(form), zero_point_of(form) + zero)

    def constant(self, name: str, values: np.ndarray, like: QFormat | None = None, zero: int = 0) -> int:
        """Adds a constant: integers, or with `like` stored values of that format, `zero` the one that means 0."""
        if like is None:
            return self.builder.tensor(name, values.shape, values.dtype, data=values)
        data = shifted(values, like)
        zero_point = zero_point_of(like) + zero
        return self.builder.tensor(name, values.shape, dtype_of(like), scales_of(like), zero_point, data=data)

    def less(self, index: int, zero: int) -> int:
        """The tensor of an activation with a stored integer that means 0: itself, or with the same integers what a SUB makes."""
        tensor, source = self.model.tensors[index], self.activation(index)
        if zero == self.zero(index):
            return source
        offset = self.constant(f"{tensor.name}/zero", np.array([zero]), tensor.format)
        result = self.add(f"{tensor.name}/less zero", tensor.shape, tensor.format, zero)
        return self.builder.operator("SUB", 2, [source, offset], result, options="SubOptions")

    def in_format(self, index: int, form: QFormat, zero: int | None = None) -> int:
        """The tensor of an activation in another format: itself, or what a QUANTIZE makes of it.

        Args:
            index: Of the activation.
            form: The format.
            zero: The stored integer that is to mean 0; as the tensor has it, if it is not told.
        """
        tensor = self.model.tensors[index]
        source = self.activation(index) if zero is None else self.less(index, zero)
        if tensor.format == form:
            return source
        converted = self.add(f"{tensor.name}/{form}", tensor.shape, form)
        return quantize(self.builder, source, converted, tensor.format, form)


def quantize(builder: Builder, source: int, target: int, before: QFormat, after: QFormat) -> int:
    """Adds what takes one format to another."""
    if after.is_float:
        return builder.operator("DEQUANTIZE", 2, [source], target, options="DequantizeOptions")
    return builder.operator("QUANTIZE", 1 if before.is_float else 2, [source], target, options="QuantizeOptions")


def source_of(operator: Operator) -> int:
    """The tensor of what an operator with one input, or with weights, reads."""
    return operand_index(operator, "input")


def problems(tensor: Tensor) -> Iterator[str]:
    """Why TFLite can't have an activation."""
    if tensor.format.is_fixed and not tensor.format.signed and tensor.format.bits == 16:
        yield f"{tensor.name} is {tensor.format}: TFLite has no unsigned 16 bits; give it FIXED16 in --settings"


def reach_problems(name: str, largest: float, form: QFormat) -> Iterator[str]:
    """Why TFLite, which computes outputs in 32 bits before it saturates them, has too few for an operator.

    Args:
        name: Of the output.
        largest: Magnitude of what may be computed.
        form: Of the output.
    """
    if form.is_fixed and largest / form.step >= MOST_STEPS:
        yield too_fine(name, form)


def sum_problems(name: str, terms: Sequence[QFormat], form: QFormat) -> Iterator[str]:
    """Why TFLite, which stops the process there, can't have a sum of two activations in a format so fine."""
    wide = 16 in (form.bits, *(term.bits for term in terms))
    if form.is_fixed and all(term.is_fixed for term in terms):
        step = form.step / (1 << (8 if form.signed else 7)) if wide and form.bits == 8 else form.step
        if 2 * max(term.step for term in terms) / step >= (_MOST_BESIDE_16_BITS if wide else _MOST_BESIDE_8_BITS):
            yield too_fine(name, form)


def too_fine(name: str, form: QFormat) -> str:
    """That TFLite's arithmetic of 32 bits does not reach."""
    return f"{name} in {form} is too fine for TFLite, beside what it is made of: give it fewer fractional bits in --settings"


def dtype_of(form: QFormat) -> np.dtype:
    """Of stored values."""
    if form.is_float:
        return np.dtype(np.float32)
    return np.dtype(np.int16 if form.bits == 16 else np.int8)


def scales_of(form: QFormat) -> list[float]:
    """The one scale; none of float numbers."""
    return [] if form.is_float else [form.step]


def zero_point_of(form: QFormat) -> int:
    """Stored value of 0."""
    return -_FLIP if form.is_fixed and not form.signed else 0


def shifted(stored: np.ndarray, form: QFormat) -> np.ndarray:
    """Stored values of a format as TFLite stores them."""
    return (stored.astype(np.float64) + zero_point_of(form)).astype(dtype_of(form))


def wider(form: QFormat) -> QFormat:
    """The 16-bit format that has every value of a format of 8 or 16 bits."""
    return form if form.bits == 16 else fixed(16, form.frac_bits)


def result_of(network: Network, target: int, form: QFormat, wide: bool) -> int:
    """The tensor that an operator writes which computes in 8 bits or, `wide`, in 16: the target, or a wider one of its range."""
    if not wide or form.bits == 16:
        return target
    # Unsigned values of 8 bits have 7 more in an int16.
    return network.builder.tensor("", network.builder.shape(target), np.int16, [form.step / (1 << (8 if form.signed else 7))])


def narrowed(network: Network, result: int, target: int, form: QFormat) -> None:
    """Adds what takes a `result_of` to its target."""
    if result != target:
        quantize(network.builder, result, target, wider(form), form)


@dataclasses.dataclass(frozen=True)
class Clamp:
    """What a clamp becomes.

    Attributes:
        fused: The activation function that an operator has in itself.
        low, high: What is left for operators behind it, as stored values of ours; `None` for nothing.
    """

    fused: int = 0
    low: float | None = None
    high: float | None = None


def clamp_of(operator: Operator, form: QFormat, fusing: bool = True) -> Clamp:
    """The clamp of an operator.

    Args:
        operator: Of ours.
        form: Of its output.
        fusing: Whether the operator of TFLite has an activation function.
    """
    if operator.clamp is None:
        return Clamp()
    if form.is_float:
        return Clamp(0, *(end if math.isfinite(end) else None for end in operator.clamp))
    low, high = (int(end) for end in operator.clamp)
    left = Clamp(0, low if low > form.min_int else None, high if high < form.max_int else None)
    for function, bottom, top in ((_RELU6, 0.0, 6.0), (_RELU_N1_TO_1, -1.0, 1.0)):
        if fusing and (low * form.step, high * form.step) == (bottom, top):
            return Clamp(function)
    if fusing and left.low == 0:
        return dataclasses.replace(left, fused=_RELU, low=None)
    return left


def clamped(network: Network, operator: Operator, clamp: Clamp, wide: int) -> int:
    """Adds what is left of a clamp, from a tensor to the operator's output.

    Args:
        network: Is added to.
        operator: Of ours.
        clamp: `clamp_of` it.
        wide: The tensor with what is to be clamped: the output itself, if nothing is left.
    """
    tensor = network.model.output(operator)
    output = network.activation(operator.outputs[0])
    left = [(name, end) for name, end in (("MAXIMUM", clamp.low), ("MINIMUM", clamp.high)) if end is not None]
    for position, (name, end) in enumerate(left):
        target = output if position == len(left) - 1 else network.builder.like(output, f"{tensor.name}/{name.lower()}")
        bound = network.constant(f"{tensor.name}/{name.lower()}/end", np.array([end]), tensor.format)
        wide = network.builder.operator(name, 2, [wide, bound], target, options="MaximumMinimumOptions")
    return wide


def before_clamp(network: Network, operator: Operator, clamp: Clamp) -> int:
    """The tensor that an operator of TFLite writes: the output, or one before what is left of its clamp."""
    output = network.activation(operator.outputs[0])
    if clamp.low is None and clamp.high is None:
        return output
    return network.builder.like(output, f"{network.model.output(operator).name}/unclamped")
