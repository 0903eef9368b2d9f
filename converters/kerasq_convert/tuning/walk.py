"""One pass over a quantized network, in the order of execution: every operator's kernel is learned for what it then reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from kerasq import ops
from kerasq.format.model import Model
from kerasq.progress import Progress
from kerasq_convert.examples.in_batches import computed_in_batches
from kerasq_convert.operators import activations_read
from kerasq_convert.tuning.float_sums import FloatSums
from kerasq_convert.tuning.layer import Freedom, Learned, learn_layer
from kerasq_convert.tuning.moments import Moments, moments_of
from kerasq_convert.tuning.weighted import Weighted, stored


@dataclasses.dataclass(frozen=True)
class TunedLayer:
    """What became of an operator.

    Attributes:
        name: Of its kernel.
        format: Of that.
        changed: Share of its weights that are others than by rounding to nearest.
        rounded, tuned: Noise : signal of its sums, for what it reads, before and after.
    """

    name: str
    format: str
    changed: float
    rounded: float
    tuned: float


@dataclasses.dataclass(frozen=True)
class Walked:
    """What a pass made.

    Attributes:
        model: The network with learned kernels, and biases that take back what that did to the means.
        layers: What became of each operator, in the order of execution.
        positions: How many fractional bits more kernels should have, by name, where another position is better.
    """

    model: Model
    layers: list[TunedLayer]
    positions: dict[str, int]


@dataclasses.dataclass(frozen=True)
class _Use:
    """An operator that is learned, and the name of the first kernel that is equal to its own."""

    weighted: Weighted
    kernel: str


class Walk:
    """Learns the kernels of quantized versions of one network from examples, without labels.

    Args:
        reference: The float network; tensors belong together by name.
        inputs: The examples, an array (count, ...) for each input.
        kernels: What may be learned, by name of the kernel.
        with_bias: Whether biases may change.
        verbose: Whether to show progress.
    """

    def __init__(
        self,
        reference: Model,
        inputs: list[np.ndarray],
        kernels: Mapping[str, Freedom],
        *,
        with_bias: bool,
        verbose: bool = False,
    ):
        self._reference, self._inputs, self._kernels = reference, inputs, kernels
        self._with_bias, self._verbose = with_bias, verbose
        self._float = {reference.output(operator).name: operator for operator in reference.operators}

    def run(self, model: Model) -> Walked:
        """Learns the kernels of one network. Operators that share a kernel go on sharing it."""
        uses = self._uses(model)
        others = self._of_others(model, uses)
        floats = FloatSums(self._reference, self._inputs, uses.keys())
        layers: list[TunedLayer] = []
        learned: dict[str, Learned] = {}
        spans, quantized = model.lifetimes(), zip(model.inputs, self._inputs, strict=True)
        values = {index: model.tensors[index].format.quantize(array) for index, array in quantized}
        with Progress("learning to round", len(model.operators), "operators", enabled=self._verbose) as progress:
            for position, operator in enumerate(model.operators):
                name, sources = model.output(operator).name, activations_read(model, operator)
                if name in uses:
                    use = uses[name]
                    moments = self._moments(model, use.weighted, [values[index] for index in sources], floats.take(name)[1])
                    if use.kernel not in learned:
                        learned[use.kernel] = self._learn(name, use, moments, others.get(use.kernel))
                    model, layer = self._with(model, position, moments, learned[use.kernel])
                    layers.append(layer)
                run = ops.prepare(model, model.operators[position])
                values[operator.outputs[0]] = computed_in_batches(run, [values[index] for index in sources])
                values = {index: array for index, array in values.items() if spans[index][1] > position}
                progress.advance(1)
        return Walked(model, layers, {name: one.position for name, one in learned.items() if one.position})

    def _uses(self, model: Model) -> dict[str, _Use]:
        """The operators that are learned, by the names of their outputs."""
        firsts: dict[tuple, str] = {}
        uses = {}
        for operator in model.operators:
            weighted = Weighted.of(model, operator)
            if weighted is None or weighted.kernel.name not in self._kernels or not ops.is_integer(model, operator):
                continue
            kernel, multiplier = weighted.kernel, weighted.multiplier
            scale = None if multiplier is None else (multiplier.format, stored(multiplier).tobytes())
            same = kernel.format, kernel.shape, stored(kernel).tobytes(), scale, weighted.groups
            uses[model.output(operator).name] = _Use(weighted, firsts.setdefault(same, kernel.name))
        return uses

    def _of_others(self, model: Model, uses: dict[str, _Use]) -> dict[str, Moments]:
        """Of a kernel that several operators have: what all but the first read and should give, in the float network."""
        later = {name: use for name, use in uses.items() if use.weighted.kernel.name != use.kernel}
        floats = FloatSums(self._reference, self._inputs, later.keys())
        moments: dict[str, Moments] = {}
        for name, use in later.items():
            one = self._centred(use.weighted, moments_of(model, use.weighted, *floats.take(name)))
            moments[use.kernel] = one + moments[use.kernel] if use.kernel in moments else one
        return moments

    def _moments(self, model: Model, weighted: Weighted, read: list[np.ndarray], sums: np.ndarray) -> Moments:
        """Of what an operator reads in the quantized network, stored values, and of the products that are wanted from it."""
        tensors = (model.tensors[index] for index in activations_read(model, weighted.operator))
        x, *addends = (tensor.format.dequantize(array) for tensor, array in zip(tensors, read, strict=True))
        for addend in addends:
            sums = sums - addend
        if weighted.bias is not None and not self._with_bias:
            sums = sums - weighted.bias.values.astype(np.float32)
        return moments_of(model, weighted, x, sums)

    def _centred(self, weighted: Weighted, moments: Moments) -> Moments:
        """Around the means, where a bias takes them back."""
        return moments.centred() if self._with_bias and weighted.bias is not None else moments

    def _learn(self, name: str, use: _Use, moments: Moments, others: Moments | None) -> Learned:
        moments = self._centred(use.weighted, moments)
        exact = Weighted.of(self._reference, self._float[name])
        assert exact is not None
        together = moments if others is None else moments + others
        return learn_layer(use.weighted, together, exact.weights, self._kernels[use.kernel])

    def _with(self, model: Model, position: int, moments: Moments, learned: Learned) -> tuple[Model, TunedLayer]:
        """The model with what was learned; without, where sums would need a wider accumulator."""
        before = Weighted.of(model, model.operators[position])
        assert before is not None
        after, kept = before, model
        for integers, scale in ((learned.integers, learned.scale), (before.integers, before.scale)):
            changed = _with_constant(model, position, "kernel", integers)
            if before.multiplier is not None:
                changed = _with_constant(changed, position, "multiplier", scale)
            weighted = Weighted.of(changed, changed.operators[position])
            assert weighted is not None
            if before.bias is not None and self._with_bias:
                bias = before.bias.format.quantize(moments.bias(weighted.weights))
                changed = _with_constant(changed, position, "bias", bias)
            proven = _proven(changed, position)
            if proven is not None:
                after, kept = weighted, proven
                break
        centred = self._centred(before, moments)
        signal = max(float(np.sum(centred.tt)), np.finfo(np.float64).tiny)
        noises = (float(np.sum(centred.noise(one.weights))) / signal for one in (before, after))
        changed_share = float(np.mean(after.integers != before.integers))
        return kept, TunedLayer(before.kernel.name, str(before.kernel.format), changed_share, *noises)


def _with_constant(model: Model, position: int, name: str, values: np.ndarray) -> Model:
    """A model with other stored values, grouped or not, for a constant of an operator, by the name of the operand."""
    index, tensors = ops.operand_index(model.operators[position], name), list(model.tensors)
    tensor = tensors[index]
    tensors[index] = dataclasses.replace(tensor, data=values.reshape(tensor.shape).astype(tensor.format.dtype))
    return dataclasses.replace(model, tensors=tuple(tensors))


def _proven(model: Model, position: int) -> Model | None:
    """The model if its operator at a position needs no wider sums than it has, with what it then needs."""
    operator = model.operators[position]
    try:
        proven = ops.with_widths(model, operator)
    except OverflowError:
        return None
    if proven.accumulator_bits > operator.accumulator_bits or proven.total_bits > operator.total_bits:
        return None
    operators = (*model.operators[:position], proven, *model.operators[position + 1 :])
    return dataclasses.replace(model, operators=operators)
