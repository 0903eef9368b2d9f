"""The native engine: the runtime in C (kerasq/runtime), fed with batches."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence

import numpy as np

from kerasq.format.model import Model, OperatorKind
from kerasq.interpreter import memory
from kerasq.interpreter.arenas import Arenas
from kerasq.interpreter.batches import Observer
from kerasq.runtime import Network
from kerasq.runtime.network import Team

# Multiply-accumulates, or values, of one call: some milliseconds, beside which what Python does for it vanishes.
_WORK = 1 << 29
_MAX_BATCH = 4096

# Examples that are computed at once where most of the work is in Dense layers, whose weights are then read once for several, and
# where their arenas stay in the second-level cache.
_TOGETHER = 16
_TOGETHER_BYTES = 1 << 18


class NativeEngine:
    """Runs a network on batches of stored values; threads may share it.

    Args:
        model: The network as it was read.
        network: The same in the runtime.
        max_bytes: What its state and its arenas may take together; `None` for any amount.
        threads: That may compute one example together, where the network is large enough to gain by it, and where their working
            memory leaves room for an arena for each.

    Attributes:
        arenas: How many arenas may exist at once; `None` for any number.
        pool: Those for an example each.
        together: Those for several examples each; `None` where these gain nothing, or there may be too few.

    Raises:
        ModelTooLargeError: That is not enough for one arena.
    """

    def __init__(self, model: Model, network: Network, max_bytes: int | None = None, threads: int = 1) -> None:
        self.network = network
        self._members = network.threads(threads)
        self.arenas = self._arenas(max_bytes)
        self._team_lock = threading.Lock()
        self._model = model
        self.pool, self.together = self._pools()
        self._operators = [operator.outputs[0] for operator in model.operators]

    def _arenas(self, max_bytes: int | None) -> int | None:
        network, team = self.network, self.network.team_arena_bytes(self._members) if self._members > 1 else 0
        arenas = memory.arenas(network.state_bytes, network.row_bytes, max_bytes)
        if arenas is None or team == 0:
            return arenas
        left = arenas - -(-team // network.row_bytes)
        if left >= self._members:
            return left
        self._members = 1
        return arenas

    @functools.cached_property
    def _team(self) -> Team:
        return self.network.team(self._members)

    def run_example(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> bool:
        """Compute one example in several threads; `False`, and nothing is done, where that gains nothing, or they are in use."""
        if self._members == 1 or not self._team_lock.acquire(blocking=False):
            return False
        try:
            self._team.run(inputs, outputs)
        finally:
            self._team_lock.release()
        return True

    def batch_size(self, examples: int, threads: int) -> int:
        """Examples of a call: few enough that every thread has some, enough to be worth a call."""
        return max(min(self._worth_a_call, -(-examples // threads)), 1)

    @functools.cached_property
    def _worth_a_call(self) -> int:
        macs = sum(operator.macs for operator in self.network.operators())
        values = sum(tensor.nbytes for tensor in self._model.activations())
        return min(_WORK // max(macs + values, 1), _MAX_BATCH)

    def run(self, inputs: Sequence[np.ndarray], observe: Observer | None = None) -> list[np.ndarray]:
        """Stored outputs of one batch.

        Args:
            inputs: Stored values for each input of the network, all with the same batch size. Not modified, and not copied
                where they are C-contiguous.
            observe: Called with index and stored values of every activation as soon as it is computed, inputs first.
        """
        contiguous = [np.ascontiguousarray(array) for array in inputs]
        if observe is not None:
            return self._observed(contiguous, observe)
        outputs = [self._empty(index, len(contiguous[0])) for index in self._model.outputs]
        pool = self.together if self.together is not None and len(contiguous[0]) > 1 else self.pool
        arena = pool.take()
        try:
            self.network.run(arena.memory, contiguous, outputs)
        finally:
            pool.give(arena)
        return outputs

    def _pools(self) -> tuple[Arenas, Arenas | None]:
        """Arenas for an example each; and half of them, for several examples each, where these gain something."""
        several = None if self.arenas is None else self.arenas // (2 * _TOGETHER)
        if several == 0 or not self._gains_together():
            return Arenas(self.network.arena, self.arenas), None
        rest = None if self.arenas is None or several is None else self.arenas - _TOGETHER * several
        return Arenas(self.network.arena, rest), Arenas(functools.partial(self.network.arena, _TOGETHER), several)

    def _gains_together(self) -> bool:
        """Whether most of the work is in Dense layers, and arenas for several examples stay in the cache."""
        dense = [operator.kind == OperatorKind.DENSE for operator in self._model.operators]
        if not any(dense) or _TOGETHER * self.network.row_bytes > _TOGETHER_BYTES:
            return False
        macs = [info.macs for info in self.network.operators()]
        return 0 < sum(macs) <= 2 * sum(count for count, is_dense in zip(macs, dense, strict=True) if is_dense)

    def example(self, inputs: Sequence[np.ndarray]) -> NativeExample:
        """One example, to be run again and again.

        Args:
            inputs: Stored values (1, ...) for each input of the network, C-contiguous.
        """
        return NativeExample(self, inputs, [self._empty(index, 1) for index in self._model.outputs])

    def _observed(self, inputs: Sequence[np.ndarray], observe: Observer) -> list[np.ndarray]:
        """`run`, all examples operator by operator: each has an arena of its own, in which tensors follow each other."""
        if self.arenas is not None:
            for pool in filter(None, (self.pool, self.together)):
                pool.drop()  # the observed arenas may be all that there may be
        arenas = self.network.arena(len(inputs[0]))
        kept: dict[int, np.ndarray] = {}

        def computed(index: int) -> None:
            stored = self._read(arenas, index)
            if index in self._model.outputs:
                kept[index] = stored
            observe(index, stored)

        for index, stored in zip(self._model.inputs, inputs, strict=True):
            self.network.tensor(index, arenas)[:] = stored.reshape(len(stored), -1).view(np.uint8)
        for index in self._model.inputs:
            computed(index)
        for position, output in enumerate(self._operators):
            self.network.invoke_operator(position, arenas)
            computed(output)
        return [kept[index] for index in self._model.outputs]

    def _read(self, arenas: np.ndarray, index: int) -> np.ndarray:
        result = self._empty(index, len(arenas))
        result.reshape(len(arenas), -1).view(np.uint8)[:] = self.network.tensor(index, arenas)
        return result

    def _empty(self, index: int, examples: int) -> np.ndarray:
        tensor = self._model.tensors[index]
        return np.empty((examples, *tensor.shape[1:]), tensor.format.dtype)


class NativeExample:
    """Stored values of one example's inputs, and of the outputs of its last run.

    All that a call of C needs is made when an input is set: a run takes an arena, and calls.

    Attributes:
        inputs: An array for each input; `set` replaces it.
        outputs: An array for each output; `run` writes into it.
    """

    def __init__(self, engine: NativeEngine, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        self.inputs, self.outputs = list(inputs), list(outputs)
        self._engine = engine
        self._call = engine.network.example_call(self.inputs, self.outputs)

    def set(self, position: int, stored: np.ndarray) -> None:
        """Another array for an input: C-contiguous, and not written into from now on."""
        self.inputs[position] = stored
        self._call.set_input(position, stored)

    def run(self) -> None:
        """Compute the outputs."""
        if self._engine.run_example(self.inputs, self.outputs):
            return
        pool = self._engine.pool
        arena = pool.take()
        try:
            self._call(arena.address)
        finally:
            pool.give(arena)

    def copy(self) -> NativeExample:
        """The same values, to go their own way."""
        return NativeExample(self._engine, self.inputs, [array.copy() for array in self.outputs])
