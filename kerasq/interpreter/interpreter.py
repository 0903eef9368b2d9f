"""The interpreter's interface; the engine behind it is chosen by name."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kerasq import format as file_format
from kerasq.format.model import Model, Tensor
from kerasq.inputs import as_array
from kerasq.interpreter import engines, memory, profile
from kerasq.interpreter.batches import Batches, fast_batch_size, processors, slices
from kerasq.interpreter.native import NativeEngine
from kerasq.progress import Progress

_CHOSEN_ANEW = ("_model", "_engine", "_engine_name", "_threads")  # where an interpreter is unpickled


class Interpreter:
    """Runs a .kq file; called like `tf.lite.Interpreter`, or with whole batches.

    A fixed-point network gives the same integers on every machine, in every engine, for every batch size and number of
    threads; FLOAT32 tensors may differ in the last bits. `NUMERICS.md` is the definition. Shapes are fixed: inputs can't be
    resized; `predict` takes any number of examples.

    Args:
        model_path: A .kq file.
        model_content: Its bytes, or a `kerasq.format.Model`. Give either this or `model_path`.
        engine: `"native"`, the runtime in C; `"reference"`, the definition in NumPy; `None` for the native one, with a
            warning for the reference where that is not installed.
        num_threads: Threads over the examples of a batch; `None` for the number of processors, or as many as `max_bytes` allows.
        max_bytes: Memory that the network (`state`: with the native engine what kernels make of constants) and the arenas of all
            threads may take together: 1 GiB unless given, as a small file may ask for much; `None` for any amount. The examples
            themselves, what Python keeps of the file, and temporary arrays of the reference engine are not counted.
        isa: Kernels of the native engine, one of `kerasq.runtime.tiers()`: `"portable"`, `"avx2"` or `"avx512vnni"`; `None`
            for what the variable KERASQ_ISA names, else for the fastest of this processor.

    An interpreter can be copied, which shares the network, and pickled, which carries the file's contents along: where it is
    unpickled, engine, kernels and threads are chosen anew if they were left to be chosen. Both keep the tensors that are set.

    Raises:
        kerasq.format.ModelError: The file breaks a rule of the format; the message lists everything. Or it takes more than
            `max_bytes`: then it is a `kerasq.format.ModelTooLargeError`.
        OSError: The file can't be read, or the native engine is asked for and not installed.
        ValueError: An argument is out of its range.
        TypeError: An argument is of another type.

    Example:

    >>> interpreter = kerasq.Interpreter(model_path="resnet23.kq")
    >>> interpreter.predict(images).shape        # images: uint8 (10000, 32, 32, 3)
    (10000, 10)
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        model_content: bytes | Model | None = None,
        *,
        engine: str | None = None,
        num_threads: int | None = None,
        isa: str | None = None,
        max_bytes: int | None = memory.MAX_BYTES,
    ) -> None:
        if (model_path is None) == (model_content is None):
            raise ValueError(
                "Give either `model_path` or `model_content`. "
                f"Received: model_path={model_path!r}, model_content={type(model_content).__name__}"
            )
        _check_count("num_threads", num_threads)
        _check_count("max_bytes", max_bytes)
        source = model_path if model_content is None else model_content
        if model_path is not None and not isinstance(model_path, str | os.PathLike):
            expected = "a path; the bytes of a file are `model_content`"
            raise TypeError(f"`model_path` must be {expected}. Received: model_path of type {type(model_path).__name__}")
        if model_content is not None and not isinstance(model_content, Model) and not _has_bytes(model_content):
            expected = "the bytes of a .kq file, or a kerasq.format.Model; a path is `model_path`"
            raise TypeError(f"`model_content` must be {expected}. Received: {type(model_content).__name__}")
        assert source is not None
        self._engine_name = engines.choose(engine, isa)
        self._model, self._engine = engines.open_model(source, self._engine_name, isa, max_bytes)
        self._threads = memory.threads(num_threads, processors(), self._engine.arenas)
        self._example: engines.Example | None = None
        self._invoked: list[np.ndarray] | None = None  # inputs of the last invoke(): arrays that nothing writes into
        self._within: dict[int, np.ndarray] = {}  # tensors inside the network, where they were asked for since
        self._chosen = {"engine": engine, "num_threads": num_threads, "isa": isa, "max_bytes": max_bytes}

    def __copy__(self) -> Interpreter:
        """An interpreter of the same network with the same values, which go their own way from now on."""
        twin = object.__new__(type(self))
        twin.__dict__ |= self.__dict__
        twin._example = None if self._example is None else self._example.copy()
        twin._within = dict(self._within)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Interpreter:
        twin = self.__copy__()  # engine and network hold no state of a run: threads share them anyway
        memo[id(self)] = twin
        shared = (*_CHOSEN_ANEW, "_example")  # the twin's own example is a copy already
        twin.__dict__ |= {name: copy.deepcopy(value, memo) for name, value in self.__dict__.items() if name not in shared}
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        if any(operator.function is not None for operator in self._model.operators):
            raise TypeError("This network computes functions that are in memory only, and no file holds: it can't be pickled")
        arguments = {"model_content": file_format.dumps(self._model), **self._chosen}
        values = None if self._example is None else (self._example.inputs, self._example.outputs)
        own = {name: value for name, value in self.__dict__.items() if name not in (*_CHOSEN_ANEW, "_example")}
        return _restored, (type(self), arguments, own, values)

    @property
    def model(self) -> Model:
        """The network as it was read."""
        return self._model

    @property
    def engine(self) -> str:
        """Name of the engine, `"native"` or `"reference"`."""
        return self._engine_name

    def allocate_tensors(self) -> None:
        """Prepare for `set_tensor` and `invoke`; inputs are 0 until they are set."""
        tensors = (self._model.tensors[index] for index in self._model.inputs)
        self._example = self._engine.example([np.zeros(tensor.shape, tensor.format.dtype) for tensor in tensors])
        self._invoked = None

    def get_input_details(self) -> list[dict[str, Any]]:
        """Details of the network's inputs in its order, as `get_tensor_details` gives them, but with the names of its author."""
        return [self._details(index) | {"name": name} for name, index in self._model.named_inputs().items()]

    def get_output_details(self) -> list[dict[str, Any]]:
        """Details of the network's outputs, as `get_tensor_details` gives them, but with their keys, where it gives a dict."""
        return [self._details(index) | {"name": name} for name, index in self._model.named_outputs().items()]

    def get_tensor_details(self) -> list[dict[str, Any]]:
        """Details of every tensor, constants included.

        Returns:
            A dict for each tensor: `name`; `index`, for `set_tensor` and `get_tensor`; `shape`, an int32 array;
            `dtype`, the NumPy type of its stored values; `format`, a `kerasq.QFormat`; `quantization`, the pair
            (scale, zero point) with value = scale * (stored - zero point): the zero point is always 0, the scale a power
            of two, and (0.0, 0) stands for a FLOAT32 tensor.
        """
        return [self._details(index) for index in range(len(self._model.tensors))]

    def set_tensor(self, tensor_index: int, value: np.ndarray) -> None:
        """Copy stored values into an input of the network.

        Args:
            tensor_index: `index` of the input's details.
            value: Array of exactly the input's shape and dtype: stored integers of a fixed input.

        Raises:
            ValueError: Not an input of the network, or another shape or dtype.
            RuntimeError: Before `allocate_tensors()`.
        """
        example, tensor = self._allocated(), self._tensor(tensor_index)
        if tensor_index not in self._model.inputs:
            names = {self._model.tensors[index].name: index for index in self._model.inputs}
            raise ValueError(
                f"Only inputs of the network can be set: {names}. Received: tensor_index={tensor_index}, {tensor.name!r}"
            )
        if type(value) is not np.ndarray:
            value = as_array(value, tensor.name)
        if value.dtype != tensor.format.dtype or value.shape != tensor.shape:
            raise ValueError(
                f"Input {tensor.name!r} ({tensor.format}) must have dtype={tensor.format.dtype}, shape={tensor.shape}. "
                f"Received: dtype={value.dtype}, shape={value.shape}"
            )
        example.set(self._model.inputs.index(tensor_index), value.copy())

    def invoke(self) -> None:
        """Compute every tensor from the inputs that are set.

        Raises:
            RuntimeError: Before `allocate_tensors()`.
        """
        example = self._allocated()
        example.run()
        self._invoked = example.inputs[:]
        self._within = {}

    def get_tensor(self, tensor_index: int) -> np.ndarray:
        """A copy of a tensor's stored values: a constant, an input, or what the last `invoke()` computed.

        Engines use the memory of a tensor again: the first call for one inside the network computes all of them once more, and
        keeps them.

        Raises:
            ValueError: There is no such tensor.
            RuntimeError: The tensor has no value yet.
        """
        tensor = self._tensor(tensor_index)
        if tensor.data is not None:
            return tensor.data.copy()
        return self._value(tensor_index, tensor).copy()

    def _value(self, index: int, tensor: Tensor) -> np.ndarray:
        example = self._allocated()
        if index in self._model.inputs:
            return example.inputs[self._model.inputs.index(index)]
        if self._invoked is None:
            raise RuntimeError(f"Tensor {tensor.name!r} has no value yet: call invoke() first")
        if index in self._model.outputs:
            return example.outputs[self._model.outputs.index(index)]
        if not self._within:
            self._engine.run(self._invoked, self._within.setdefault)
        return self._within[index]

    def predict(
        self, x: Any, batch_size: int | None = None, verbose: int = 0, raw: bool = False
    ) -> np.ndarray | list[np.ndarray] | dict[str, np.ndarray]:
        """Outputs for any number of examples.

        Args:
            x: Array with a batch axis, or a single example without. Where the network has several inputs, a list or tuple of
                arrays in its order (`get_input_details`), or a dict by name. Arrays of exactly the input's stored dtype are
                stored integers; all other numbers, int64 as well, are values and are quantized to the input's format. (For
                raw pixels, UFIXED8_0, both are the same.)
            batch_size: Examples computed together by one thread; `None` chooses a fast one. It changes no fixed result.
            verbose: 1 draws a progress bar on standard error, if that is a terminal.
            raw: Return stored integers instead of float32 values.

        Returns:
            Array (examples, ...), float32 values or stored integers, for a single example (...); what the Keras model returns:
            a dict of arrays where that returns a dict, a list where it has several outputs otherwise.

        Raises:
            ValueError: Shapes, names, number of arrays or `batch_size` don't fit.
            TypeError: Something is no array of real numbers.
        """
        batches = Batches(self._model, x)
        size = self._size(batch_size, self._engine.batch_size(batches.examples, self._threads))
        tensors = [self._model.tensors[index] for index in self._model.outputs]
        dtypes = [tensor.format.dtype if raw else np.dtype(np.float32) for tensor in tensors]
        outputs = [np.empty((batches.examples, *tensor.shape[1:]), dtype) for tensor, dtype in zip(tensors, dtypes, strict=True)]

        def compute(examples: slice) -> int:
            for tensor, output, stored in zip(tensors, outputs, self._engine.run(batches.stored(examples)), strict=True):
                output[examples] = stored if raw else tensor.format.dequantize(stored)
            return examples.stop - examples.start

        with Progress("predict", batches.examples, "examples", enabled=bool(verbose)) as progress:
            for count in self._each(compute, slices(batches.examples, size)):
                progress.advance(count)
        if batches.single:
            outputs = [output[0] for output in outputs]
        if self._model.output_names:
            return dict(zip(self._model.output_names, outputs, strict=True))
        return outputs[0] if len(outputs) == 1 else outputs

    def observe(self, x: Any, callback: Callable[[str, np.ndarray], None], batch_size: int | None = None) -> None:
        """Call `callback(name, stored values)` for every activation, batch by batch, in the order of execution.

        Nothing is kept, so that any number of examples can be looked at: for statistics, or to compare engines.

        Args:
            x: As for `predict`.
            callback: Gets the tensor's name and an array (examples, ...) of stored values, not to be modified.
            batch_size: Examples per call; `None` chooses a fast number.

        Raises:
            ValueError, TypeError: As `predict`; `callback` is no function.
        """
        if not callable(callback):
            raise TypeError(f"`callback` must be a function of a name and an array. Received: {callback!r}")
        batches, size = Batches(self._model, x), self._size(batch_size, fast_batch_size(self._model))
        size = min(size, self._engine.arenas or size)  # each example has an arena of its own
        for examples in slices(batches.examples, size):
            self._engine.run(batches.stored(examples), lambda index, stored: callback(self._model.tensors[index].name, stored))

    def tensors(self, x: Any) -> dict[str, np.ndarray]:
        """Stored values of every activation for a batch, by name.

        Args:
            x: As for `predict`, at least one example. All activations of all examples are kept in memory.
        """
        pieces: dict[str, list[np.ndarray]] = {}
        self.observe(x, lambda name, stored: pieces.setdefault(name, []).append(stored))
        return {name: np.concatenate(arrays) for name, arrays in pieces.items()}

    def profile(self, runs: int = 100) -> list[dict[str, Any]]:
        """The time of each operator of the native engine, in one thread, in whole runs on the inputs that are set.

        Args:
            runs: Runs that are timed.

        Returns:
            A dict for each operator, in the order of execution: `kind`; `output`, the tensor that it writes; `kernel`,
            the name of what computes it; `macs`, its multiply-accumulates; `seconds`, the median; `share` of the sum of medians;
            `quartiles` of the seconds; and `samples`, the seconds of each run.

        Raises:
            RuntimeError: Before `allocate_tensors()`, or the reference engine runs the network: its time says nothing.
            ValueError, TypeError: `runs` is no positive integer.

        Example:

        >>> for operator in sorted(interpreter.profile(), key=lambda operator: -operator["seconds"])[:3]:
        ...     print(f"{1e6 * operator['seconds']:8.1f} us  {operator['output']}  {operator['kernel']}")
        """
        _check_count("runs", 0 if runs is None else runs)
        example = self._allocated()
        if not isinstance(self._engine, NativeEngine):
            raise RuntimeError("Only the native engine has kernels to take the time of. Received: engine='reference'")
        network = self._engine.network
        network.operator_times(network.arena(), example.inputs, 1)  # the first run warms up what there is to warm up
        return profile.described(self._model, network, network.operator_times(network.arena(), example.inputs, runs))

    def _each(self, compute: Callable[[slice], int], pieces: Sequence[slice]) -> Iterator[int]:
        """`compute` of every piece, in several threads (NumPy and the runtime compute without the interpreter lock)."""
        if self._threads == 1 or len(pieces) == 1:
            yield from map(compute, pieces)
            return
        from concurrent.futures import ThreadPoolExecutor  # takes as long to import as a small network to run

        pool = ThreadPoolExecutor(self._threads)
        try:
            yield from pool.map(compute, pieces)
        finally:
            pool.shutdown(cancel_futures=True)

    def _size(self, size: int | None, default: int) -> int:
        _check_count("batch_size", size)
        return default if size is None else size

    def _tensor(self, index: int) -> Tensor:
        if isinstance(index, bool) or not isinstance(index, int | np.integer) or not 0 <= index < len(self._model.tensors):
            raise ValueError(f"Tensors are 0 to {len(self._model.tensors) - 1}. Received: tensor_index={index!r}")
        return self._model.tensors[index]

    def _allocated(self) -> engines.Example:
        if self._example is None:
            raise RuntimeError("Call allocate_tensors() first")
        return self._example

    def _details(self, index: int) -> dict[str, Any]:
        tensor = self._model.tensors[index]
        return {
            "name": tensor.name,
            "index": index,
            "shape": np.array(tensor.shape, np.int32),
            "dtype": tensor.format.dtype.type,
            "format": tensor.format,
            "quantization": (0.0 if tensor.format.is_float else tensor.format.step, 0),
        }


def _restored(
    kind: type[Interpreter],
    arguments: dict[str, Any],
    own: dict[str, Any],
    values: tuple[list[np.ndarray], list[np.ndarray]] | None,
) -> Interpreter:
    """An interpreter out of a pickle. (A subclass has a constructor of its own, which is not called again.)"""
    interpreter = object.__new__(kind)
    Interpreter.__init__(interpreter, **arguments)
    interpreter.__dict__ |= own
    if values is not None:
        inputs, outputs = values
        interpreter._example = interpreter._engine.example([array.copy() for array in inputs])
        for array, stored in zip(interpreter._example.outputs, outputs, strict=True):
            array[...] = stored
    return interpreter


def _has_bytes(content: Any) -> bool:
    """Whether it is bytes, an array of them, a mapping of a file: whatever lends its memory."""
    try:
        memoryview(content)
    except TypeError:
        return False
    return True


def _check_count(name: str, count: Any) -> None:
    """Refuses what is neither None nor a positive integer."""
    if count is None:
        return
    if isinstance(count, bool) or not isinstance(count, int | np.integer):
        raise TypeError(f"`{name}` must be a positive integer, or None. Received: {name}={count!r}")
    if count < 1:
        raise ValueError(f"`{name}` must be at least 1. Received: {name}={count}")
