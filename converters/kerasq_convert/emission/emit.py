"""From the graph and its formats to the model that is written: constants quantized, operators with their integer attributes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kerasq import ops
from kerasq.format import Model, Operator, OperatorKind, Tensor
from kerasq.format.model import ABSENT
from kerasq.ops import lookup, softmax
from kerasq.ops.normalize import epsilon_format
from kerasq.qformat import FLOAT32, QFormat
from kerasq_convert import roles
from kerasq_convert.emission.parameters import Parameters
from kerasq_convert.emission.tensors import Tensors
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats.choice import FIXED16, Formats, Reason
from kerasq_convert.formats.proof import frac_bits
from kerasq_convert.graph import (
    Add,
    Convolution,
    Curve,
    Gather,
    Graph,
    Identity,
    Limits,
    Multiply,
    Node,
    Normalize,
    Shape,
    Softmax,
    WeightedNode,
    moves_values,
)
from kerasq_convert.naming import Names
from kerasq_convert.operators import activations_of, operator_of
from kerasq_convert.roles import Part, Role
from kerasq_convert.settings import Settings


@dataclasses.dataclass(frozen=True, eq=False)
class Emitted:
    """A model with what it was made by.

    Attributes:
        model: The model. What is made of it later, planned or with other biases, has its tensors in the same order.
        roles: What each of its tensors is for.
        formats: The formats that were chosen for it.
    """

    model: Model
    roles: tuple[Role, ...]
    formats: Formats

    def name(self, role: Role) -> str:
        """The name of the tensor with a role, which the model has."""
        return self.model.tensors[self.roles.index(role)].name

    def constants(self) -> dict[Role, Tensor]:
        """The constants by role."""
        return {role: tensor for role, tensor in zip(self.roles, self.model.tensors, strict=True) if tensor.is_constant}

    def replace(self, model: Model) -> Emitted:
        """With a model that was made of this one."""
        return dataclasses.replace(self, model=model)


def emit(
    graph: Graph, names: Names, formats: Formats, settings: Settings, metadata: dict[str, str], *, proven: bool = True
) -> Emitted:
    """The model without a memory plan; unless `proven`, without the widths of its sums.

    Raises:
        ConversionError: An operator's result provably may not fit 64 bits, or a format set for a constant can't hold it.
    """
    emitter = _Emitter(graph, names, formats, settings)
    model = emitter.run(metadata)
    if proven and not emitter.problems:  # the proof relies on constants that fit
        model = emitter.proven(model)
    if emitter.problems:
        raise ConversionError("the network does not fit its formats", emitter.problems)
    return Emitted(model, emitter.tensors.roles(), formats)


class _Emitter:
    def __init__(self, graph: Graph, names: Names, formats: Formats, settings: Settings):
        self.graph, self.formats = graph, formats
        self.tensors = Tensors(names)
        self.parameters = Parameters(self.tensors, names, formats, settings)
        self.operators: list[Operator] = []
        self.index: dict[str, int] = {}  # of the activation that holds a value
        self.problems = self.tensors.problems

    def run(self, metadata: dict[str, str]) -> Model:
        for value, shape in self.graph.inputs.items():
            self._buffer(value, shape)
        for node in self.graph.nodes:
            self._emit(node)
        inputs = tuple(self.index[value] for value in self.graph.inputs)
        outputs = tuple(self.index[value] for value in self.graph.outputs.values())
        own = tuple(self.tensors[index].name for index in inputs)
        return Model(
            self.tensors.all(),
            tuple(self.operators),
            inputs,
            outputs,
            metadata=metadata,
            input_names=self.graph.input_names if self.graph.input_names != own else (),
            output_names=self.graph.output_names,
        )

    def proven(self, model: Model) -> Model:
        """The model with the widths that accumulator proofs give."""
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

    def _buffer(self, value: str, shape: Shape) -> int:
        role = roles.buffer(value)
        self.index[value] = self.tensors.add(role, shape, self.formats[role].format)
        return self.index[value]

    def _emit(self, node: Node) -> None:
        inputs = tuple(self.index[value] for value in node.inputs)
        if self._does_nothing(node, self._format(inputs[0])):
            self.index[node.output] = inputs[0]
            return
        output = self._buffer(node.output, node.shape)
        source, format_ = self._format(inputs[0]), self._format(output)
        clamp = stored_clamp(node.clamp, format_)
        if moves_values(node) and not isinstance(node, WeightedNode) and source != format_:  # what only moves can't requantize
            self._in_two_steps(node, inputs, Part.MOVED, source, output, clamp)
        elif isinstance(node, Curve) and format_.is_float and source.is_fixed:  # tables hold fixed values
            self._in_two_steps(node, inputs, Part.LOOKED_UP, _format_of_table(node, source), output, clamp)
        else:
            self._compute(node, inputs, output, clamp)

    def _does_nothing(self, node: Node, source: QFormat) -> bool:
        """Whether a node stands for a quantizer of a value that has its format already, as an input of the network may."""
        same = isinstance(node, Identity) and self.formats[roles.buffer(node.output)].format == source
        return same and stored_clamp(node.clamp, source) is None and node.output not in self.graph.outputs.values()

    def _in_two_steps(
        self, node: Node, inputs: tuple[int, ...], part: Part, format_: QFormat, output: int, clamp: Limits | None
    ) -> None:
        """A node that can't give the format of its output: it is computed in another one, and then requantized."""
        step = self.tensors.add(roles.made(part, node.output), node.shape, format_)
        self._compute(node, inputs, step, None)
        self._operator(OperatorKind.QUANTIZE, {"input": step}, output, clamp=clamp)

    def _compute(self, node: Node, inputs: tuple[int, ...], output: int, clamp: Limits | None) -> None:
        kind, attributes = operator_of(node)
        if isinstance(node, Convolution | Multiply):
            attributes |= _zero_of(node, self._format(inputs[0]))
            if "zero" in attributes and self._format(inputs[0]).signed:
                source = self.tensors[inputs[0]]
                told = f"{source.name}: with an offset it can't be {source.format}"
                self.problems.append(f"{told}; write an unsigned format, as UFIXED16")
        operands = activations_of(kind, self._near(node, inputs) if isinstance(node, Add) else inputs)
        match node:
            case WeightedNode():
                formats = [self._format(index) for index in operands.values()]
                operands |= self.parameters.add(node, formats, self._format(output))
                if "addend" in operands:
                    operands["addend"] = self._addend(node, operands)
            case Gather():
                operands["table"] = self.parameters.kernel(node)[0]
            case Curve() if self._format(inputs[0]).is_float:  # files can't hold the function, but the reference engine runs it
                attributes["function"] = node.function
            case Curve():
                operands["table"] = self._function_table(node, inputs[0], output)
            case Softmax() if self._has_exponentials(inputs[0], output):
                operands["table"] = self._exponentials(node, inputs[0])
            case Normalize():
                operands["epsilon"] = self._epsilon(node, inputs[0], output)
        self._operator(kind, operands, output, clamp=clamp, **attributes)

    def _operator(self, kind: OperatorKind, operands: dict[str, int], output: int, **attributes: Any) -> None:
        self.operators.append(ops.make(kind, operands, output, **attributes))

    def _format(self, index: int) -> QFormat:
        return self.tensors[index].format

    def _function_table(self, node: Curve, x: int, output: int) -> int:
        format_ = self._format(output)
        entries = lookup.make_table(node.function, self._format(x), format_)
        return self.tensors.add(roles.made(Part.TABLE, node.output), entries.shape, format_, entries)

    def _has_exponentials(self, x: int, output: int) -> bool:
        """Whether a softmax computes in integers."""
        source, format_ = self._format(x), self._format(output)
        most = ops.TABLE[OperatorKind.SOFTMAX].limits["max_frac_bits"]
        return source.is_fixed and format_.is_fixed and 0 <= frac_bits(format_) <= most

    def _exponentials(self, node: Softmax, x: int) -> int:
        entries = softmax.exponentials(self._format(x))
        return self.tensors.add(roles.made(Part.EXPONENTIALS, node.output), entries.shape, softmax.TABLE_FORMAT, entries)

    def _epsilon(self, node: Normalize, x: int, output: int) -> int:
        fixed = self._format(x).is_fixed and self._format(output).is_fixed
        format_ = epsilon_format(node.epsilon) if fixed else FLOAT32
        return self.tensors.add(roles.made(Part.EPSILON, node.output), (1,), format_, format_.quantize(np.array([node.epsilon])))

    def _near(self, node: Add, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """The inputs of an addition, the finer one with no more fractional bits than the runtime can align with the other's.

        Formats that a user chose stay as they are: the proof refuses them by name where they are too far apart.
        """
        formats = [self._format(index) for index in inputs]
        if not all(format_.is_fixed for format_ in formats) or any(self._set_by_hand(index) for index in inputs):
            return inputs
        most = min(map(frac_bits, formats)) + ops.TABLE[OperatorKind.ADD].limits["max_distance"]
        return tuple(self._coarser(node, term, index, most) for term, index in enumerate(inputs))

    def _set_by_hand(self, index: int) -> bool:
        """Whether a buffer has its format from the settings, and not the one that would have been chosen without them."""
        role = self.tensors.role(index)
        return self.formats[role].reason is Reason.SETTINGS and self.formats[role].format != self.formats.automatic[role].format

    def _addend(self, node: WeightedNode, operands: dict[str, int]) -> int:
        """The addend of a convolution, with no more fractional bits than the sum that it is added to."""
        factors = [self._format(operands[name]) for name in ("input", "kernel", "multiplier") if name in operands]
        if any(self._format(index).is_float for index in operands.values()):
            return operands["addend"]
        return self._coarser(node, 1, operands["addend"], frac_bits(*factors))

    def _coarser(self, node: Node, term: int, index: int, most: int) -> int:
        """A term of a sum with at most so many fractional bits: itself, or requantized."""
        source = self.tensors[index]
        if frac_bits(source.format) <= most:
            return index
        role = roles.made(Part.ADDEND, node.output, term)
        addend = self.tensors.add(role, source.shape, source.format.with_frac_bits(most))
        self._operator(OperatorKind.QUANTIZE, {"input": index}, addend)
        return addend


def _zero_of(node: Convolution | Multiply, source: QFormat) -> dict[str, float]:
    """What the first input of a node holds for 0, where its operator must know: biases do for all but padding and products."""
    if not node.zero or not (isinstance(node, Multiply) or any(node.padding)):
        return {}
    return {"real_zero": node.zero} if source.is_float else {"zero": int(source.quantize(np.array(node.zero)))}


def _format_of_table(node: Curve, source: QFormat) -> QFormat:
    """16 bits for what a function makes of the range of a format, where the result is to be FLOAT32."""
    with np.errstate(all="ignore"):
        values = np.nan_to_num(node.function(np.linspace(source.min, source.max, 513)))
    return FIXED16.with_frac_bits(FIXED16.finest(float(values.min()), float(values.max())) or 0)


def stored_clamp(limits: Limits, format_: QFormat) -> tuple[float, float] | None:
    """A node's clamp in its output's format; None where the format itself limits as much.

    A limit is rounded as every value is: rounding is monotone, so clamping before and after it agree.
    """
    if format_.is_float:
        return None if limits == (-np.inf, np.inf) else (float(np.float32(limits[0])), float(np.float32(limits[1])))
    low, high = (int(value) for value in format_.quantize(np.array(limits)))
    return None if (low, high) == (format_.min_int, format_.max_int) else (low, high)
