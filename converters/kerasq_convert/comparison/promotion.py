"""What 16 bits instead of 8 would cost and give, layer by layer: the variants of an operator that an analysis tries beside it.

Three variants where they apply: the *output* in 16 bits, the *kernel* in 16 bits, or *both*. A promoted output has four times
the range and a 64th of the step: it neither saturates nor rounds where the 8 bits did, whichever of the two was at fault. A
promoted kernel is the float network's, in the 16-bit format that fits it best; kernels that 8 bits hold exactly have no such
variant. Sizes come from the whole network with that change, its memory planned anew. Not counted are two bytes per channel:
where the sum is coarse for a finer output, the converter adds a multiplier of ones that refines the bias.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, OperatorKind, Tensor
from kerasq.ops import softmax
from kerasq.qformat import MAX_FRAC_BITS, QFormat, fixed
from kerasq_convert.emission.emit import stored_clamp
from kerasq_convert.formats import ranges
from kerasq_convert.memory.plan import plan_memory
from kerasq_convert.operators import activations_read

FINER = 6  # of the 8 bits that an output gains; the other two widen its range
EXACT = 1 / 32  # of a step: a kernel that deviates less, by the rounding of its multiplier, is held exactly
UNLIMITED = (-np.inf, np.inf)


@dataclasses.dataclass(frozen=True)
class Variant:
    """One operator with more bits.

    Attributes:
        what: "output", "kernel" or "both".
        inputs: The activations that it reads, in order, and the formats in which it expects them.
        output: Format of the result.
        run: The operator, prepared.
        arena_bytes, model_bytes: What the network grows by, but for the biases, which are converted anew: up to 2 bytes a channel
            more or less.
    """

    what: str
    inputs: tuple[tuple[int, QFormat], ...]
    output: QFormat
    run: Callable[..., np.ndarray]
    arena_bytes: int
    model_bytes: int


def variants(model: Model, reference: Model) -> Callable[[int], Iterator[Variant]]:
    """For one quantized network: the variants of the operator at a position.

    Args:
        model: The quantized network.
        reference: The float network, tensors of the same names.
    """
    promoter = _Promoter(model, reference)
    return promoter.variants


class _Promoter:
    def __init__(self, model: Model, reference: Model):
        self.model = model
        self.kernels = {tensor.name: tensor for tensor in reference.constants()}
        self.clamps = {reference.output(operator).name: operator.clamp for operator in reference.operators}
        self.arena_bytes = plan_memory(model).arena_bytes
        self.model_bytes = sum(tensor.nbytes for tensor in model.constants())

    def variants(self, position: int) -> Iterator[Variant]:
        operator = self.model.operators[position]
        output = self._with_wide_output(operator.outputs[0])
        kernel = self._with_wide_kernel(self.model, operator)
        both = self._with_wide_kernel(output, operator) if output is not None else None
        for what, changed in (("output", output), ("kernel", kernel), ("both", both)):
            if changed is not None:
                yield self._variant(what, changed, position)

    def _variant(self, what: str, changed: Model, position: int) -> Variant:
        operator = changed.operators[position]
        return Variant(
            what,
            tuple((index, changed.tensors[index].format) for index in activations_read(changed, operator)),
            changed.output(operator).format,
            ops.prepare(changed, operator),
            plan_memory(changed).arena_bytes - self.arena_bytes,
            sum(tensor.nbytes for tensor in changed.constants()) - self.model_bytes,
        )

    def _with_wide_output(self, index: int) -> Model | None:
        """The network with an activation in 16 bits, and with it those that its readers and writers tie to its format."""
        tensors, promoted = self.model.tensors, {index}
        if not tensors[index].format.is_fixed or tensors[index].format.bits != 8:
            return None
        while True:
            changed = self._widened(promoted)
            if changed is None:
                return None
            touching = [operator for operator in changed.operators if promoted & {*operator.inputs, *operator.outputs}]
            refusing = [operator for operator in touching if any(True for _ in ops.problems(changed, operator))]
            tied = {
                other
                for operator in refusing
                for other in (*activations_read(changed, operator), *operator.outputs)
                if tensors[other].format == tensors[index].format
            }
            if tied <= promoted:
                return None if refusing else changed
            promoted |= tied

    def _widened(self, promoted: set[int]) -> Model | None:
        tensors = list(self.model.tensors)
        for index in promoted:
            old = tensors[index].format
            if (old.frac_bits or 0) + FINER > MAX_FRAC_BITS:
                return None
            wide = fixed(16, (old.frac_bits or 0) + FINER, signed=old.signed)
            tensors[index] = dataclasses.replace(tensors[index], format=wide)
        operators = []
        for operator in self.model.operators:
            if operator.outputs[0] in promoted:
                operator = operator.replace(clamp=self._clamp(operator, tensors[operator.outputs[0]]))
            if ops.TABLE[operator.kind].first(operator) in promoted:
                operator = operator.replace(zero=operator.zero << FINER)
            x, table = (ops.operand_index(operator, name) for name in ("input", "table"))
            if operator.kind is OperatorKind.SOFTMAX and x in promoted and table != ABSENT:
                entries = softmax.exponentials(tensors[x].format)
                tensors[table] = dataclasses.replace(tensors[table], shape=entries.shape, data=entries)
            operators.append(operator)
        return _proven(dataclasses.replace(self.model, tensors=tuple(tensors), operators=tuple(operators)), promoted)

    def _clamp(self, operator: Operator, output: Tensor) -> tuple[float, float] | None:
        """The float network's clamp: the stored one may have met the end of the 8 bits first."""
        return stored_clamp(self.clamps.get(output.name) or UNLIMITED, output.format)

    def _with_wide_kernel(self, model: Model, operator: Operator) -> Model | None:
        """`model` with the float network's kernel in 16 bits; the multiplier, where there is one, stays what it is."""
        index = ops.operand_index(operator, "kernel")
        if index == ABSENT:
            return None
        kernel = model.tensors[index]
        wanted = self.kernels.get(kernel.name)
        if wanted is None or wanted.shape != kernel.shape or not kernel.format.is_fixed or kernel.format.bits > 8:
            return None
        values, scale = wanted.values, self._multiplier(operator)
        if scale is not None:
            # Channels without any scale contribute nothing, whatever their kernel.
            column = scale.reshape(-1, *(1,) * (values.ndim - 1))
            values = np.where(column == 0, kernel.values, values / np.where(column == 0, 1.0, column))
        if np.max(np.abs(kernel.values - values)) <= EXACT * kernel.format.step:
            return None
        format_ = ranges.best_for_values(fixed(16), values)
        tensors = list(model.tensors)
        tensors[index] = dataclasses.replace(kernel, format=format_, data=format_.quantize(values))
        return _proven(dataclasses.replace(model, tensors=tuple(tensors)), {index})

    def _multiplier(self, operator: Operator) -> np.ndarray | None:
        multiplier = ops.operand(self.model, operator, "multiplier")
        return None if multiplier is None else multiplier.values


def _proven(model: Model, touched: set[int]) -> Model | None:
    """`model` with the accumulators that its changed operators need; None where 64 bits do not hold them.

    An operator that no longer keeps the rules of its kind stays as it is: what it needs is not defined.
    """
    operators = list(model.operators)
    for position, operator in enumerate(operators):
        keeps_rules = not any(True for _ in ops.TABLE[operator.kind].rules(model, operator))
        if keeps_rules and touched & {*operator.inputs, *operator.outputs}:
            try:
                operators[position] = ops.with_widths(model, operator)
            except OverflowError:
                return None
    return dataclasses.replace(model, operators=tuple(operators))
