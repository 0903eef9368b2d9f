"""What each tensor of a quantized network adds to the noise at the outputs: the error that its operator makes itself, not the one
that it inherits.

Of the quantized network as it runs, an operator reads stored values. What it would give on these in exact arithmetic, with the
float network's constants, is one thing; what it stores is another. The difference is the error that it *adds*: rounding and
saturation of its output, of its kernel, of its bias. Its part from the output's format alone is told apart (*storage*).

That error then runs through the float network, from the tensor on, to the outputs: its *effect*. Errors of neighbouring layers
can't be compared with each other's signals: a channel that is loud, and that nobody needs, hides an error that all others suffer
from. At the outputs they can.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasq import ops
from kerasq.format.model import Model, Operator
from kerasq_convert.comparison.logits import scored
from kerasq_convert.comparison.noise import Noise, finite
from kerasq_convert.comparison.outputs import noise_shares
from kerasq_convert.network import zeros_of
from kerasq_convert.operators import activations_read

WORK = 1 << 36  # multiply-accumulates, and values written, of all runs from a tensor to the outputs
EXAMPLES = 32  # that are looked at
_BYTES = 1 << 26  # of the activations of all examples that are looked at

Values = dict[str, np.ndarray]


@dataclasses.dataclass
class Contribution:
    """What one tensor adds.

    Attributes:
        name: Of the tensor.
        added: The error that the operator makes itself, against what it would give in exact arithmetic.
        storage: The part of it that is rounding and saturation by the output's format.
        saturation: The part of that beyond the ends of the format.
        channels: The size of each channel in the float network: what nine tenths of its magnitudes don't exceed.
        rows: How many values of each channel were looked at.
        effect: Noise : signal at the outputs, the mean over them, by this error alone; `None` where that was too much work.
    """

    name: str
    added: Noise
    storage: Noise
    saturation: Noise
    channels: np.ndarray
    rows: int
    effect: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        effect = None if self.effect is None else finite(self.effect)
        return {"name": self.name, "effect": effect, "added": self.added.to_dict(), "storage": self.storage.to_dict()}


def contributions(model: Model, reference: Model, inputs: list[np.ndarray]) -> list[Contribution]:
    """Every tensor that both networks have and that adds an error, the greatest effect first.

    Args:
        model: The quantized network. Corrected biases take back what other layers did; a network with biases as they are shows
            better who did it.
        reference: The same network in FLOAT32; tensors belong together by name.
        inputs: Examples, an array (count, ...) for each input, of which the first are looked at.
    """
    model, reference = scored(model), scored(reference)  # differences of labels are no noise
    size = 8 * sum(math.prod(tensor.shape) for tensor in (*reference.activations(), *model.activations()))
    count = min(EXAMPLES, max(_BYTES // size, 1), len(inputs[0]))
    runner = _Runner(model, reference, [array[:count] for array in inputs])
    measured = [runner.contribution(name) for name in runner.errors]
    measured = sorted((one for one in measured if one.added.power > 0), key=lambda one: one.added.share, reverse=True)
    wanted, left = runner.outputs_with(None), WORK // count
    for one in measured:
        left -= runner.work(one.name)
        if left >= 0:
            one.effect = float(np.sum(noise_shares(runner.outputs_with(one.name), wanted)))
    return sorted(measured, key=lambda one: -1.0 if one.effect is None else one.effect, reverse=True)


class _Runner:
    """Both networks on the same examples."""

    def __init__(self, model: Model, reference: Model, inputs: list[np.ndarray]):
        self._model, self._reference = model, reference
        self._runs = [ops.prepare(reference, operator) for operator in reference.operators]
        self._names, self._zeros = [tensor.name for tensor in reference.tensors], zeros_of(reference)
        self._formats = {tensor.name: tensor.format for tensor in model.activations()}
        floats = dict(zip((self._names[index] for index in reference.inputs), inputs, strict=True))
        self._float = self._computed(floats, lambda name: None)
        stored = self._stored()
        # What operators give on stored values in exact arithmetic; what the quantized network does not have is computed on.
        self._exact = self._computed(floats, stored.get)
        self.errors = {name: stored[name] - array for name, array in self._exact.items() if name in stored}

    def _computed(self, inputs: Values, read: Callable[[str], np.ndarray | None]) -> Values:
        """All tensors of the float network, each from what `read` gives for those that it needs, else from what was computed."""
        values = {name: array.astype(np.float32) for name, array in inputs.items()}
        for run, operator in zip(self._runs, self._reference.operators, strict=True):
            values[self._output(operator)] = self._run(run, operator, values, read)
        return values

    def _run(
        self, run: Callable[..., np.ndarray], operator: Operator, values: Values, read: Callable[[str], np.ndarray | None]
    ) -> np.ndarray:
        names = (self._names[index] for index in activations_read(self._reference, operator))
        arrays = ((name, read(name)) for name in names)
        with np.errstate(all="ignore"):  # FLOAT32 operators may overflow, as in the engine
            return run(*(values[name] if array is None else array.astype(np.float32) for name, array in arrays))

    def _output(self, operator: Operator) -> str:
        return self._names[operator.outputs[0]]

    def _stored(self) -> Values:
        """All activations of the quantized network as it runs, as float64 values."""
        tensors = self._model.tensors
        stored = {index: tensors[index].format.quantize(self._float[tensors[index].name]) for index in self._model.inputs}
        for operator in self._model.operators:
            run = ops.prepare(self._model, operator)
            with np.errstate(all="ignore"):
                stored[operator.outputs[0]] = run(*(stored[index] for index in activations_read(self._model, operator)))
        return {tensors[index].name: tensors[index].format.dequantize(array, np.float64) for index, array in stored.items()}

    def contribution(self, name: str) -> Contribution:
        """Without its effect."""
        exact, format_, zero = self._exact[name].astype(np.float64), self._formats[name], self._zeros.get(name, 0.0)
        added, storage, saturation = Noise(), Noise(), Noise()
        added.add(exact, exact + self.errors[name], zero)
        if format_.is_fixed:
            kept = format_.dequantize(format_.quantize(exact), np.float64)
            storage.add(exact, kept, zero)
            half = format_.step / 2
            beyond = (exact < format_.min - half) | (exact >= format_.max + half)
            saturation.add(exact, np.where(beyond, kept, exact), zero)
        values = np.abs(self._float[name] - zero).reshape(-1, exact.shape[-1])
        measured = (added, storage, saturation, np.percentile(values, 90, axis=0), len(values))
        return Contribution(name, *measured)

    def _behind(self, name: str) -> list[int]:
        """Positions of the operators of the float network that depend on a tensor."""
        reached, positions = {name}, []
        for position, operator in enumerate(self._reference.operators):
            if reached & {self._names[index] for index in activations_read(self._reference, operator)}:
                reached.add(self._output(operator))
                positions.append(position)
        return positions

    def work(self, name: str) -> int:
        """Multiply-accumulates, and values written, behind a tensor, of one example."""
        operators = (self._reference.operators[position] for position in self._behind(name))
        return sum(
            ops.macs(self._reference, operator) + math.prod(self._reference.output(operator).shape) for operator in operators
        )

    def outputs_with(self, name: str | None) -> list[np.ndarray]:
        """The float network's outputs with one tensor's error, or none, added to that tensor."""
        changed = {} if name is None else {name: self._float[name] + self.errors[name]}
        for position in self._behind(name) if name is not None else ():
            operator = self._reference.operators[position]
            changed[self._output(operator)] = self._run(self._runs[position], operator, self._float, changed.get)
        outputs = (self._names[index] for index in self._reference.outputs)
        return [changed.get(output, self._float[output]).astype(np.float64) for output in outputs]
