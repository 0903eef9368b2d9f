"""The reference engine: every operator in NumPy, exact for fixed-point tensors (kerasq/NUMERICS.md)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from kerasq import ops
from kerasq.format.model import ABSENT, Model
from kerasq.interpreter import memory
from kerasq.interpreter.batches import Observer, fast_batch_size


@dataclasses.dataclass(frozen=True)
class _Step:
    """One prepared operator: the activations that it reads, the one that it writes, those that nothing reads after it."""

    run: Callable[..., np.ndarray]
    inputs: tuple[int, ...]
    output: int
    released: tuple[int, ...]


def _kernel_bytes(model: Model) -> int:
    """What the kernels take: operators share them, as float32 values or integers in up to 64 bits."""
    indices = {ops.operand_index(operator, "kernel") for operator in model.operators} - {ABSENT}
    kernels = (model.tensors[index] for index in indices)
    return sum(math.prod(kernel.shape) * (4 if kernel.format.is_float else 8) for kernel in kernels)


class ReferenceEngine:
    """Runs a verified model on batches of stored values; holds no state between runs, so threads may share it.

    Args:
        model: A model that `kerasq.format.verify` accepts.
        max_bytes: What its kernels, as they are multiplied, and its arenas may take together; `None` for any amount. (An arena is
            counted as the file plans it; the operators' temporary arrays come on top.)

    Attributes:
        arenas: How many arenas may exist at once; `None` for any number.

    Raises:
        ModelTooLargeError: That is not enough for one arena.
    """

    def __init__(self, model: Model, max_bytes: int | None = None) -> None:
        self._model = model
        self.arenas = memory.arenas(_kernel_bytes(model), model.arena_bytes, max_bytes)
        released: dict[int, list[int]] = {}
        for index, (_, last) in model.lifetimes().items():
            released.setdefault(last, []).append(index)
        self._steps = [
            _Step(
                run=ops.prepare(model, operator),
                inputs=tuple(i for i in operator.inputs if i != ABSENT and not model.tensors[i].is_constant),
                output=operator.outputs[0],
                released=tuple(released.get(position, ())),
            )
            for position, operator in enumerate(model.operators)
        ]

    def batch_size(self, examples: int, threads: int) -> int:
        """Examples of a call: operators work on a batch at once, and its activations fit the cache."""
        return fast_batch_size(self._model)

    def run(self, inputs: Sequence[np.ndarray], observe: Observer | None = None) -> list[np.ndarray]:
        """Stored outputs of one batch.

        Args:
            inputs: Stored values for each input of the network, all with the same batch size. Not modified.
            observe: Called with index and stored values of every activation as soon as it is computed, inputs first.
        """
        values = dict(zip(self._model.inputs, inputs, strict=True))
        if observe is not None:
            for index, stored in values.items():
                observe(index, stored)
        for step in self._steps:
            # Overflow to infinity and NaN are results of FLOAT32 arithmetic here, not mistakes to warn of.
            with np.errstate(all="ignore"):
                result = step.run(*[values[index] for index in step.inputs])
            values[step.output] = result
            if observe is not None:
                observe(step.output, result)
            for index in step.released:
                del values[index]
        return [values[index] for index in self._model.outputs]

    def example(self, inputs: Sequence[np.ndarray]) -> ReferenceExample:
        """One example, to be run again and again: as `NativeEngine.example`."""
        tensors = (self._model.tensors[index] for index in self._model.outputs)
        return ReferenceExample(self, inputs, [np.zeros(tensor.shape, tensor.format.dtype) for tensor in tensors])


class ReferenceExample:
    """`NativeExample` for this engine."""

    def __init__(self, engine: ReferenceEngine, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        self.inputs, self.outputs = list(inputs), list(outputs)
        self._engine = engine

    def set(self, position: int, stored: np.ndarray) -> None:
        """Another array for an input, not written into from now on."""
        self.inputs[position] = stored

    def run(self) -> None:
        """Compute the outputs."""
        self.outputs = self._engine.run(self.inputs)

    def copy(self) -> ReferenceExample:
        """The same values, to go their own way."""
        return ReferenceExample(self._engine, self.inputs, self.outputs)
