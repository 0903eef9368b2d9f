"""The float network, run as far as the quantized one is: what the sums of its operators are."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from kerasq import ops
from kerasq.format.model import Model, Operator
from kerasq_convert.examples.in_batches import computed_in_batches
from kerasq_convert.operators import activations_read


class FloatSums:
    """Sums of operators of the float network, before their clamps, for the same examples; asked for once each.

    Args:
        reference: The network in FLOAT32.
        inputs: The examples, an array (count, ...) for each input.
        names: Of the tensors that the operators compute whose sums will be asked for.
    """

    def __init__(self, reference: Model, inputs: list[np.ndarray], names: Collection[str]):
        self._model, self._names = reference, names
        self._values = dict(zip(reference.inputs, inputs, strict=True))
        self._spans = reference.lifetimes()
        self._done = 0
        self._read: dict[str, np.ndarray] = {}
        self._sums: dict[str, np.ndarray] = {}

    def take(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """What an operator reads, and its sum, (examples, ...), float32."""
        while name not in self._sums:
            self._step(self._model.operators[self._done])
        return self._read.pop(name), self._sums.pop(name)

    def _step(self, operator: Operator) -> None:
        name, output = self._model.output(operator).name, operator.outputs[0]
        arrays = [self._values[index] for index in activations_read(self._model, operator)]
        asked = name in self._names
        run = ops.prepare(self._model, operator.replace(clamp=None) if asked else operator)
        with np.errstate(all="ignore"):
            values = computed_in_batches(run, arrays)
        if asked:
            self._read[name], self._sums[name] = arrays[0], values
            values = values if operator.clamp is None else np.clip(values, *operator.clamp)
        self._values[output] = values
        self._values = {index: array for index, array in self._values.items() if self._spans[index][1] > self._done}
        self._done += 1
