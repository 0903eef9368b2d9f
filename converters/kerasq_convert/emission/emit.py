"""From the graph and its formats to the model that is written: constants quantized, operators with their integer attributes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kerasq import ops
from kerasq.format import Model, Operator, OperatorKind, Tensor
from kerasq.format.model import ABSENT
from kerasq.ops import lookup, softmax
from kerasq.qformat import FLOAT32, MAX_FRAC_BITS, QFormat
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats import ranges
from kerasq_convert.formats.choice import FIXED16, FIXED32, Formats, Reason, folded_kernel, keeps_multiplier
from kerasq_convert.formats.kernels import binary_scale
from kerasq_convert.formats.proof import most_frac_bits
from kerasq_convert.graph import (
    Add,
    Concat,
    Convolution,
    Curve,
    Dense,
    Graph,
    Limits,
    Multiply,
    Node,
    Pool,
    Reshape,
    Shape,
    Softmax,
    Transpose,
    WeightedNode,
)
from kerasq_convert.naming import Names
from kerasq_convert.settings import Settings


def emit(graph: Graph, names: Names, formats: Formats, settings: Settings, metadata: dict[str, str]) -> Model:
    """The model without a memory plan.

    Raises:
        ConversionError: An operator's result provably may not fit 64 bits, or a format set for a constant can't hold it.
    """
    emitter = _Emitter(graph, names, formats, settings)
    model = emitter.run(metadata)
    if emitter.problems:
        raise ConversionError("the network does not fit its formats", emitter.problems)
    return model


class _Emitter:
    def __init__(self, graph: Graph, names: Names, formats: Formats, settings: Settings):
        self.graph, self.names, self.formats, self.settings = graph, names, formats, settings
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.index: dict[str, int] = {}
        self.problems: list[str] = []

    def run(self, metadata: dict[str, str]) -> Model:
        for value, shape in self.graph.inputs.items():
            self.index[value] = self._activation(value, shape)
        for node in self.graph.nodes:
            self._emit(node)
        inputs = tuple(self.index[value] for value in self.graph.inputs)
        outputs = tuple(self.index[value] for value in self.graph.outputs.values())
        own = tuple(self.tensors[index].name for index in inputs)
        model = Model(
            tuple(self.tensors),
            tuple(self.operators),
            inputs,
            outputs,
            metadata=metadata,
            input_names=self.graph.input_names if self.graph.input_names != own else (),
            output_names=self.graph.output_names,
        )
        if self.problems:  # the proof relies on constants that fit
            return model
        return dataclasses.replace(model, operators=tuple(self._proven(model, operator) for operator in model.operators))

    def _proven(self, model: Model, operator: Operator) -> Operator:
        """The operator with the widths that its accumulator proof gives."""
        try:
            proven = ops.with_widths(model, operator)
        except OverflowError as error:
            self.problems.append(str(error))
            return operator
        tensors = (model.tensors[index] for index in (*operator.inputs, *operator.outputs) if index != ABSENT)
        formats = ", ".join(f"{tensor.name} ({tensor.format})" for tensor in tensors if not tensor.is_constant)
        for problem in ops.problems(model, proven):
            self.problems.append(f"{problem}; give other formats, or FLOAT32, to {formats} in the settings")
        return proven

    def _activation(self, value: str, shape: Shape) -> int:
        name = self.names.buffer(value)
        return self._tensor(Tensor(name, shape, self.formats.buffers[name].format))

    def _constant(self, name: str, format_: QFormat, values: np.ndarray) -> int:
        largest = max(-float(np.min(values)), float(np.max(values)))
        if ranges.exceeds(format_, largest):
            self.problems.append(
                f"{name}: its values reach {largest:.3g}, which no {format_.family} holds; "
                + ("the training diverged" if format_.is_float else "the training diverged, or give it FLOAT32 in the settings")
            )
            values = np.zeros(values.shape)
        same = format_.is_float and values.dtype == np.float32  # the network in float shares its kernels with the graph
        return self._tensor(Tensor(name, values.shape, format_, data=values if same else format_.quantize(values)))

    def _tensor(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _emit(self, node: Node) -> None:
        inputs = tuple(self.index[value] for value in node.inputs)
        output = self._activation(node.output, node.shape)
        self.index[node.output] = output
        format_ = self.tensors[output].format
        clamp = stored_clamp(node.clamp, format_)
        moves = isinstance(node, Reshape | Transpose) or (isinstance(node, Pool) and not node.average)
        if moves and self.tensors[inputs[0]].format != format_:
            self._requantized_move(node, inputs, output, clamp)
            return
        if isinstance(node, Curve) and format_.is_float and self.tensors[inputs[0]].format.is_fixed:
            self._looked_up_as_float(node, inputs, output, clamp)
            return
        kind, arguments = self._operation(node, inputs, format_)
        self._operator(kind, arguments.pop("inputs", inputs), output, clamp=clamp, **arguments)

    def _operator(self, kind: OperatorKind, inputs: tuple[int, ...], output: int, **arguments: Any) -> None:
        self.operators.append(Operator(kind, inputs, (output,), **arguments))

    def _requantized_move(self, node: Node, inputs: tuple[int, ...], output: int, clamp: Limits | None) -> None:
        """A pooling or reshape whose output has another format than its input: it moves first and is requantized then."""
        source = self.tensors[inputs[0]].format
        moved = self._tensor(Tensor(f"{self.tensors[output].name}/moved", node.shape, source))
        kind, arguments = self._operation(node, inputs, source)
        self._operator(kind, inputs, moved, **arguments)
        self._operator(OperatorKind.QUANTIZE, (moved,), output, clamp=clamp)

    def _operation(self, node: Node, inputs: tuple[int, ...], format_: QFormat) -> tuple[OperatorKind, dict[str, Any]]:
        match node:
            case Convolution():
                window = {key: getattr(node, key) for key in ("strides", "dilations", "padding", "groups")}
                operands = self._weighted(node, inputs, format_)
                return OperatorKind.CONV_2D, window | {"inputs": (*operands, *self._addend(operands, inputs[1:]))}
            case Dense():
                return OperatorKind.DENSE, {"inputs": self._weighted(node, inputs, format_)}
            case Add():
                return OperatorKind.ADD, {"inputs": self._near(inputs)}
            case Pool():
                kind = OperatorKind.AVERAGE_POOL_2D if node.average else OperatorKind.MAX_POOL_2D
                return kind, {key: getattr(node, key) for key in ("window", "strides", "padding")}
            case Multiply():
                return OperatorKind.MUL, {}
            case Concat():
                return OperatorKind.CONCAT, {}
            case Transpose():
                return OperatorKind.TRANSPOSE, {"window": node.sizes, "groups": node.together}
            case Curve():
                return OperatorKind.LOOKUP, self._looked_up(node, inputs, format_)
            case Reshape():
                return OperatorKind.RESHAPE, {}
            case Softmax():
                return OperatorKind.SOFTMAX, {"inputs": (inputs[0], self._softmax_table(inputs[0], format_))}
            case _:
                return OperatorKind.QUANTIZE, {}

    def _looked_up(self, node: Curve, inputs: tuple[int, ...], format_: QFormat) -> dict[str, Any]:
        """The function as a table, or, of a FLOAT32 input, as it is: files can't hold that, but the reference engine runs it."""
        source = self.tensors[inputs[0]].format
        if source.is_float:
            return {"inputs": (*inputs, ABSENT), "function": node.function}
        entries = lookup.make_table(node.function, source, format_)
        table = Tensor(f"{self.names.buffer(node.output)}/table", entries.shape, format_, data=entries)
        return {"inputs": (*inputs, self._tensor(table))}

    def _looked_up_as_float(self, node: Curve, inputs: tuple[int, ...], output: int, clamp: Limits | None) -> None:
        """Tables hold fixed values: of 16 bits, where the result is to be FLOAT32."""
        source = self.tensors[inputs[0]].format
        with np.errstate(all="ignore"):
            values = np.nan_to_num(node.function(np.linspace(source.min, source.max, 513)))
        format_ = FIXED16.with_frac_bits(FIXED16.finest(float(values.min()), float(values.max())) or 0)
        fixed = self._tensor(Tensor(f"{self.tensors[output].name}/looked_up", node.shape, format_))
        self._operator(OperatorKind.LOOKUP, self._looked_up(node, inputs, format_)["inputs"], fixed)
        self._operator(OperatorKind.QUANTIZE, (fixed,), output, clamp=clamp)

    def _near(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """The inputs of an addition, the finer one with no more fractional bits than the runtime can align with the other's.

        Formats that a user chose stay as they are: the proof refuses them by name where they are too far apart.
        """
        formats = [self.tensors[index].format for index in inputs]
        if not all(format_.is_fixed for format_ in formats) or any(self._set_by_hand(index) for index in inputs):
            return inputs
        most = min(format_.frac_bits or 0 for format_ in formats) + ops.TABLE[OperatorKind.ADD].limits["max_distance"]
        return tuple(self._coarser(index, most, self.tensors[index].name) for index in inputs)

    def _set_by_hand(self, index: int) -> bool:
        """Whether a buffer has its format from the settings, and not the one that would have been chosen without them."""
        name = self.tensors[index].name
        choice, automatic = self.formats.buffers.get(name), self.formats.automatic.get(name)
        if choice is None or choice.reason is not Reason.SETTINGS:
            return False
        return automatic is None or choice.format != automatic.format

    def _coarser(self, index: int, most: int, name: str) -> int:
        """An activation with at most so many fractional bits: itself, or requantized."""
        source = self.tensors[index]
        if (source.format.frac_bits or 0) <= most:
            return index
        aligned = self._tensor(Tensor(f"{name}/addend", source.shape, source.format.with_frac_bits(most)))
        self._operator(OperatorKind.QUANTIZE, (index,), aligned)
        return aligned

    def _weighted(self, node: WeightedNode, inputs: tuple[int, ...], output: QFormat) -> tuple[int, ...]:
        """Indices of x, kernel, multiplier and bias."""
        x, *addends = inputs
        kernel_format = self.formats.kernels[self.names.kernel(node)].format
        multiplier = node.multiplier
        values = node.kernel
        if kernel_format.is_sign:
            scale = binary_scale(node.kernel)
            assert scale is not None
            multiplier = scale if multiplier is None else scale * multiplier
            multiplier = None if np.all(multiplier == 1) else multiplier
        elif not keeps_multiplier(node, kernel_format):
            values, multiplier = folded_kernel(node), None
        kernel = self._constant(self.names.kernel(node), kernel_format, values)
        fractions = [self.tensors[x].format, kernel_format]
        m = ABSENT
        if multiplier is None and node.bias is not None:
            multiplier = _finer_grid(node.bias, fractions, output)
        if multiplier is not None:
            most = most_frac_bits(node, self.tensors[x].format, output, *(self.tensors[index].format for index in addends))
            m = self._vector(self.names.multiplier(node), multiplier, FIXED16, fractions, most)
            fractions.append(self.tensors[m].format)
        b = ABSENT if node.bias is None else self._vector(self.names.bias(node), node.bias, FIXED32, fractions)
        return x, kernel, m, b

    def _addend(self, operands: tuple[int, ...], given: tuple[int, ...]) -> tuple[int, ...]:
        """The addend of a convolution, if there is one, with no more fractional bits than the sum that it is added to."""
        formats = [self.tensors[index].format for index in (*operands, *given) if index != ABSENT]
        if not given or any(format_.is_float for format_ in formats):
            return given
        total_bits = sum(self.tensors[index].format.frac_bits or 0 for index in operands[:3] if index != ABSENT)
        return (self._coarser(given[0], total_bits, self.tensors[operands[1]].name),)

    def _vector(self, name: str, values: np.ndarray, family: QFormat, others: list[QFormat], most: int | None = None) -> int:
        """A multiplier or bias: as the settings say, else FLOAT32 beside floats and as exact as `family` allows otherwise.

        `most` is how many fractional bits the accumulator proof leaves to it and to all others together.
        """
        wanted = self.settings.parameter(name)
        if any(other.is_float for other in others) and wanted is None:
            return self._constant(name, FLOAT32, values)
        family = wanted or family
        if not family.is_fixed:
            return self._constant(name, family, values)
        finest = MAX_FRAC_BITS
        if name.endswith("/bias") and not any(other.is_float for other in others):
            # A bias is added at the fractional bits of the sum, and may be coarser but not finer than that.
            finest = min(finest, sum(other.frac_bits or 0 for other in others))
        if most is not None and family.frac_bits is None:
            finest = min(finest, most - sum(other.frac_bits or 0 for other in others))
        chosen = family if family.frac_bits is not None else ranges.exact_as_possible(family, values, finest)
        if (chosen.frac_bits or 0) > finest:
            self.problems.append(
                f"{name}: it can't be {chosen}: the sum to which it is added has {finest} fractional bits, and a bias at most as "
                "many; give it fewer, or its input, kernel or multiplier more"
            )
        return self._constant(name, chosen, values)

    def _softmax_table(self, x: int, format_: QFormat) -> int:
        source, most = self.tensors[x].format, softmax.SPEC.limits["max_frac_bits"]
        if not source.is_fixed or not format_.is_fixed or not 0 <= (format_.frac_bits or 0) <= most:
            return ABSENT
        table = softmax.exponentials(source)
        return self._tensor(Tensor(f"{self.tensors[-1].name}/exp", table.shape, softmax.TABLE_FORMAT, data=table))


def _finer_grid(bias: np.ndarray, others: list[QFormat], output: QFormat) -> np.ndarray | None:
    """A multiplier of ones where, without it, the sum is too coarse for its bias, as below signs without alpha.

    The bias is stored on the grid of the sum (NUMERICS.md section 3). Rounding it there may cost a 32nd of the output's
    step (of the input's, where the output is FLOAT32); where the grid is coarser, the fractional bits of a multiplier
    refine it.
    """
    if any(other.is_float for other in others):
        return None
    grid = sum(other.frac_bits or 0 for other in others)
    step = output if output.is_fixed else others[0]
    enough = grid >= (step.frac_bits or 0) + 4
    representable = np.all(np.ldexp(bias, grid) == np.floor(np.ldexp(bias, grid)))
    return None if enough or representable else np.ones(len(bias))


def stored_clamp(limits: Limits, format_: QFormat) -> tuple[float, float] | None:
    """A node's clamp in its output's format; None where the format itself limits as much.

    A limit is rounded as every value is: rounding is monotone, so clamping before and after it agree.
    """
    if format_.is_float:
        return None if limits == (-np.inf, np.inf) else (float(np.float32(limits[0])), float(np.float32(limits[1])))
    low, high = (int(value) for value in format_.quantize(np.array(limits)))
    return None if (low, high) == (format_.min_int, format_.max_int) else (low, high)
