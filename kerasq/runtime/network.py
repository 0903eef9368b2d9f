"""`Network`: a model that the library has verified and prepared, and the memory that goes with it."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerasq.format.errors import ModelError, ModelTooLargeError
from kerasq.runtime import library as binding

_MODEL_ALIGNMENT = 16
_STATE_ALIGNMENT = 64


class OperatorInfo(NamedTuple):
    """What computes an operator.

    Attributes:
        output: Index of the tensor that it writes.
        kernel: Name of the kernel.
        macs: Multiply-accumulates, absent taps included.
        scratch_bytes: What the kernel needs of the arena while it runs.
    """

    output: int
    kernel: str
    macs: int
    scratch_bytes: int = 0


class Network:
    """A network in the runtime. It is only read after it was made: threads may run it at once, each in an arena of its own.

    Args:
        content: Bytes of a .kq file.
        isa: Which kernels to use: one of `kerasq.runtime.tiers()`, or `kerasq.runtime.DSP`; `None` for what the variable
            KERASQ_ISA names, else the fastest of this processor.
        max_bytes: What its state may take; `None` for any amount.

    Attributes:
        isa: Name of the kernels' tier.
        arena_bytes: Bytes of working memory for one example.
        alignment: What the address of the first is a multiple of.

    Raises:
        ModelError: The file is refused. (The runtime stops at the first problem; `kerasq.format.loads` lists them all.)
        ModelTooLargeError: It is sound, but takes more than `max_bytes`.
        ValueError: There are no such kernels here.
        LibraryMissingError: The native library is not installed.
    """

    def __init__(self, content: bytes, isa: str | None = None, max_bytes: int | None = None) -> None:
        self._library = binding.load()
        self._kernels, self.isa = binding.kernels(isa)
        self._content = _readable(content)
        self._network = self._prepare(max_bytes)
        self.arena_bytes: int = self._library.kq_arena_bytes(self._network)
        self.alignment: int = self._library.kq_arena_alignment(self._network)
        self._inputs: int = self._library.kq_inputs(self._network)
        self._outputs: int = self._library.kq_outputs(self._network)

    def _prepare(self, max_bytes: int | None) -> int:
        """Address of the network, which lies in `self._state`."""
        size, network, error = ctypes.c_size_t(0), ctypes.c_void_p(), binding.Error()
        self._state = aligned(0, _STATE_ALIGNMENT)
        status = binding.STATE_TOO_SMALL
        while status == binding.STATE_TOO_SMALL:  # how much kernels need is known when there is room for the operators
            state = address(self._state) if len(self._state) else None
            size.value = len(self._state)
            status = self._library.kq_prepare(
                *(address(self._content), len(self._content), self._kernels, state),
                *(ctypes.byref(size), ctypes.byref(network), ctypes.byref(error)),
            )
            if status == binding.STATE_TOO_SMALL:
                assert size.value > len(self._state)
                if max_bytes is not None and size.value > max_bytes:
                    text = f"its state takes {size.value:,} bytes, more than max_bytes={max_bytes:,} allows"
                    raise ModelTooLargeError([f"{text}: if you trust the file, allow more"])
                self._state = aligned(size.value, _STATE_ALIGNMENT)
        if status != binding.OK:
            raise ModelError([self._problem(error)])
        assert network.value is not None
        return network.value

    def _problem(self, error: binding.Error) -> str:
        concerned = [
            f"{what} {index}"
            for what, index in (("operator", error.operator_index), ("tensor", error.tensor_index))
            if index >= 0
        ]
        text = self._library.kq_status_text(error.status).decode()
        return f"{', '.join(concerned)}: {text}" if concerned else text

    @property
    def state_bytes(self) -> int:
        """Bytes that the network itself takes: what is resolved, and weights that kernels have rearranged."""
        return len(self._state)

    @property
    def row_bytes(self) -> int:
        """Bytes of an arena among several."""
        return -(-max(self.arena_bytes, 1) // self.alignment) * self.alignment

    def arena(self, examples: int = 1) -> np.ndarray:
        """Working memory for one example, or for several, a row each."""
        row = self.row_bytes
        return aligned(examples * row, self.alignment).reshape(examples, row)

    def operators(self) -> list[OperatorInfo]:
        """What computes each operator."""
        count = self._library.kq_operators(self._network)
        described = (self._library.kq_describe_operator(self._network, index) for index in range(count))
        return [OperatorInfo(info.output, info.kernel.decode(), info.macs, info.scratch_bytes) for info in described]

    def run(self, arena: np.ndarray, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """Compute the outputs of some examples: one after the other, or where there are several arenas as many at once.

        Args:
            arena: From `arena()` or `arena(examples)`; not used by another thread meanwhile.
            inputs: For each input of the network an array (examples, ...) of stored values, C-contiguous. Not modified.
            outputs: For each output such an array, to be filled.
        """
        assert len(inputs) == self._inputs
        assert len(outputs) == self._outputs
        examples = len(inputs[0])
        assert all(len(array) == examples and array.flags.c_contiguous for array in (*inputs, *outputs))
        ends = _addresses(inputs), _addresses(outputs), examples
        if len(arena) == 1:
            self._library.kq_run(self._network, address(arena), *ends)
        else:
            self._library.kq_run_together(self._network, address(arena), arena.strides[0], len(arena), *ends)

    def threads(self, most: int) -> int:
        """How many of `most` threads one example gains by: 1 where the network is too small, otherwise all."""
        return self._library.kq_native_threads(self._network, most)

    def team_arena_bytes(self, threads: int) -> int:
        """Bytes of the working memory of a `Team`."""
        return self._library.kq_native_arena_bytes(self._network, threads)

    def team(self, threads: int, least_macs: int = 0) -> Team:
        """Threads that compute one example together.

        Args:
            threads: How many; where the system gives fewer than two, the caller's computes alone.
            least_macs: Of operators that are divided; 0 for what gains by it.
        """
        arena = aligned(self._library.kq_native_arena_bytes(self._network, threads), max(self.alignment, _STATE_ALIGNMENT))
        return Team(self, self._library.kq_native_team(threads, least_macs), arena)

    def example_call(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> ExampleCall:
        """`run` for one example with next to nothing around the C function, to be called with the address of an arena.

        Args:
            inputs: For each input of the network an array of stored values, C-contiguous: to be kept by the caller.
            outputs: For each output such an array, to be filled.
        """
        assert len(inputs) == self._inputs
        assert len(outputs) == self._outputs
        return ExampleCall(self, inputs, outputs)

    def invoke_operator(self, index: int, arenas: np.ndarray) -> None:
        """Compute one operator from its inputs in the arena, for each example of `arenas`.

        Args:
            index: The operator's position.
            arenas: From `arena(examples)`.
        """
        first, row = address(arenas), arenas.strides[0]
        for example in range(len(arenas)):
            self._library.kq_invoke_operator(self._network, index, first + example * row)

    def operator_times(self, arena: np.ndarray, inputs: Sequence[np.ndarray], runs: int) -> np.ndarray:
        """Seconds that each operator takes in whole runs, one after the other as in `run`, a look at the clock between them.

        Args:
            arena: From `arena()`.
            inputs: Stored values of one example for each input of the network, set anew before each run.
            runs: How many.

        Returns:
            Array (runs, operators): what a look takes is taken off.
        """
        stored = [np.ascontiguousarray(array).reshape(1, -1).view(np.uint8) for array in inputs]
        tensors = [self._library.kq_input(self._network, position) for position in range(self._inputs)]
        places = [self.tensor(index, arena) for index in tensors]
        times = np.zeros((runs, self._library.kq_operators(self._network) + 2), np.uint64)
        for row in times:
            for place, values in zip(places, stored, strict=True):
                place[:] = values
            self._library.kq_native_times(self._network, address(arena), address(row))
        spans = np.diff(times.astype(np.int64), axis=1)
        return np.maximum(spans[:, 1:] - np.median(spans[:, 0]), 1) * 1e-9

    def tensor(self, index: int, arenas: np.ndarray) -> np.ndarray:
        """The bytes (examples, bytes) where an activation lies in each of `arenas`: stored values while it is in use."""
        first = address(arenas)
        offset = self._library.kq_tensor_data(self._network, index, first) - first
        return arenas[:, offset : offset + self._library.kq_describe_tensor(self._network, index).bytes]


class Team:
    """Threads that compute one example of a network together. They sleep meanwhile, and end with this object.

    Args:
        network: The network, which lives as long as this object.
        team: Address of the team; `None` for the caller's thread alone.
        arena: Working memory for them.
    """

    def __init__(self, network: Network, team: int | None, arena: np.ndarray) -> None:
        self._owner, self._arena = network, arena
        self._run, self._arguments = network._library.kq_native_run, (network._network, team, address(arena))
        weakref.finalize(self, network._library.kq_native_dismiss, team)

    def run(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """Compute the outputs of one example, as `Network.run` does; for one thread at a time."""
        self._run(*self._arguments, _addresses(inputs), _addresses(outputs), 1)


class ExampleCall:
    """A call of kq_run whose arguments are C objects already, all but the arena's address."""

    def __init__(self, network: Network, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        self._owner = network  # which lives as long as this object
        self._inputs, self._outputs = _addresses(inputs), _addresses(outputs)
        places = map(ctypes.addressof, (self._inputs, self._outputs))
        self._run, self._network = binding.plain_run(), ctypes.c_void_p(network._network)
        self._ends = (*map(ctypes.c_void_p, places), ctypes.c_size_t(1))

    def set_input(self, position: int, array: np.ndarray) -> None:
        """Another array for an input."""
        self._inputs[position] = address(array)

    def __call__(self, arena: ctypes.c_void_p) -> None:
        self._run(self._network, arena, *self._ends)


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def aligned(size: int, alignment: int) -> np.ndarray:
    """`size` bytes of zeros, the address of the first a multiple of `alignment`."""
    memory = np.zeros(size + alignment, np.uint8)
    first = -address(memory) % alignment
    return memory[first : first + size]


def _readable(content: bytes) -> np.ndarray:
    """The bytes at an address that the runtime takes: nearly always those of the object itself."""
    array = np.frombuffer(content, np.uint8) if content else np.zeros(0, np.uint8)
    if address(array) % _MODEL_ALIGNMENT == 0:
        return array
    copy = aligned(len(array), _MODEL_ALIGNMENT)
    copy[:] = array
    return copy


def _addresses(arrays: Sequence[np.ndarray]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(arrays))(*map(address, arrays))
