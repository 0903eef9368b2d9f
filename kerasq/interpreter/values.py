"""What `set_tensor`, `invoke` and `get_tensor` work on: the inputs that are set, and what the last run made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasq.format.model import Model
from kerasq.interpreter.batches import fast_batch_size, slices
from kerasq.interpreter.engines import Engine, Example
from kerasq.interpreter.parallel import computed


class Together:
    """As an engine's `Example`, for a batch: cut into pieces for the threads as `predict` cuts it.

    Args:
        engine: What runs the network.
        threads: Over the examples of the batch.
        inputs: Stored values (batch, ...) for each input.
        outputs: As many for each output, to be filled.
    """

    def __init__(self, engine: Engine, threads: int, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        self.inputs, self.outputs = list(inputs), list(outputs)
        self._engine, self._threads = engine, threads

    def set(self, position: int, stored: np.ndarray) -> None:
        """Another array for an input, not written into from now on."""
        self.inputs[position] = stored

    def run(self) -> None:
        """Compute the outputs."""

        def compute(examples: slice) -> int:
            computed_of_these = self._engine.run([array[examples] for array in self.inputs])
            for output, stored in zip(self.outputs, computed_of_these, strict=True):
                output[examples] = stored
            return examples.stop - examples.start

        batch = len(self.inputs[0])
        for _ in computed(compute, slices(batch, self._engine.batch_size(batch, self._threads)), self._threads):
            pass

    def copy(self) -> Together:
        """The same values, to go their own way."""
        return Together(self._engine, self._threads, self.inputs, [array.copy() for array in self.outputs])


class Values:
    """Stored values of a network's tensors, for a number of examples.

    Args:
        model: The network.
        engine: What runs it.
        threads: Over the examples of a batch.
        batch: How many examples.
        preserve: Keep every activation of every run, instead of computing them once more where one is asked for.

    Attributes:
        batch: How many examples.
    """

    def __init__(self, model: Model, engine: Engine, threads: int, batch: int, preserve: bool) -> None:
        self.batch = batch
        self._model, self._engine, self._preserve = model, engine, preserve
        inputs = [self._zeros(index) for index in model.inputs]
        self._example: Example
        if batch == 1:
            self._example = engine.example(inputs)
        else:
            self._example = Together(engine, threads, inputs, [self._zeros(index) for index in model.outputs])
        self._lent: set[int] = set()  # inputs whose memory somebody outside writes into
        self._invoked: list[np.ndarray] | None = None  # inputs of the last run: arrays that nothing writes into
        self._within: dict[int, np.ndarray] = {}  # activations of the last run, where they were asked for since

    @property
    def inputs(self) -> list[np.ndarray]:
        """The inputs' values."""
        return self._example.inputs

    def set(self, index: int, stored: np.ndarray) -> None:
        """Copies values of exactly the right type and shape into an input."""
        position = self._model.inputs.index(index)
        if position in self._lent:
            self._example.inputs[position][...] = stored
        else:
            self._example.set(position, stored.copy())

    def invoke(self) -> None:
        """Compute every tensor from the inputs that are set."""
        example = self._example
        example.run()
        self._within = {}
        self._invoked = [array.copy() for array in example.inputs] if self._lent else example.inputs[:]
        if self._preserve:
            self._compute_within()

    def of(self, index: int) -> np.ndarray:
        """The memory of an activation's values: of an input as it is set, otherwise of what the last run computed.

        Raises:
            RuntimeError: There was no run.
        """
        if index in self._model.inputs:
            return self._example.inputs[self._model.inputs.index(index)]
        if self._invoked is None:
            raise RuntimeError(f"Tensor {self._model.tensors[index].name!r} has no value yet: call invoke() first")
        if index in self._model.outputs:
            return self._example.outputs[self._model.outputs.index(index)]
        if not self._within:
            self._compute_within()
        return self._within[index]

    def lend(self, index: int) -> np.ndarray:
        """`of`, for somebody who may write into it."""
        if index in self._model.inputs:
            self._lent.add(self._model.inputs.index(index))
        return self.of(index)

    def _compute_within(self) -> None:
        assert self._invoked is not None
        pieces: dict[int, list[np.ndarray]] = {}
        size = min(fast_batch_size(self._model), self._engine.arenas or self.batch)  # each example has an arena of its own
        for examples in slices(self.batch, size):
            inputs = [array[examples] for array in self._invoked]
            self._engine.run(inputs, lambda index, stored: pieces.setdefault(index, []).append(stored))
        self._within = {index: arrays[0] if len(arrays) == 1 else np.concatenate(arrays) for index, arrays in pieces.items()}

    def _zeros(self, index: int) -> np.ndarray:
        tensor = self._model.tensors[index]
        return np.zeros((self.batch, *tensor.shape[1:]), tensor.format.dtype)

    def copy(self) -> Values:
        """The same values, to go their own way; of memory that was lent, a copy."""
        twin = object.__new__(Values)
        twin.__dict__ |= self.__dict__
        twin._example, twin._lent, twin._within = self._example.copy(), set(), dict(self._within)
        for position in self._lent:
            twin._example.set(position, self._example.inputs[position].copy())
        return twin

    def state(self) -> dict[str, Any]:
        """All of it in arrays."""
        example = self._example
        return {"inputs": example.inputs, "outputs": example.outputs, "invoked": self._invoked, "within": self._within}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what `state` of values for as many examples returned."""
        for position, stored in enumerate(state["inputs"]):
            self._example.set(position, stored.copy())
        for array, stored in zip(self._example.outputs, state["outputs"], strict=True):
            array[...] = stored
        self._invoked, self._within = state["invoked"], state["within"]
