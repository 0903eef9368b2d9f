"""The interpreter's interface; the engine behind it is chosen by name."""

from __future__ import annotations

import copy
import operator
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasq import format as file_format
from kerasq.format.labels import labels_of
from kerasq.format.model import Model, Tensor
from kerasq.inputs import as_array
from kerasq.interpreter import arguments, details, engines, memory, profile, signatures
from kerasq.interpreter.batches import Batches, fast_batch_size, processors, slices
from kerasq.interpreter.native import NativeEngine
from kerasq.interpreter.parallel import computed
from kerasq.interpreter.rich_text import interpreter_html
from kerasq.interpreter.values import Values
from kerasq.progress import Progress

_CHOSEN_ANEW = ("_model", "_engine", "_engine_name", "_threads")  # where an interpreter is unpickled


class Interpreter:
    """Runs a .kq file; called like `tf.lite.Interpreter`, or with whole batches.

    A fixed-point network gives the same integers on every machine, in every engine, for every batch size and number of
    threads; FLOAT32 tensors may differ in the last bits. `NUMERICS.md` is the definition. Shapes are fixed but for the batch
    axis: `predict` takes any number of examples, `resize_tensor_input` sets it for `invoke`.

    Args:
        model_path: A .kq file.
        model_content: Its bytes, or a `kerasq.format.Model`. Give either this or `model_path`.
        engine: `"native"`, the runtime in C; `"reference"`, the definition in NumPy; `None` for the native one, with a
            warning for the reference where that is not installed.
        num_threads: Threads over the examples of a batch, or, for one example alone, over the work inside large operators, where
            the network is large enough to gain by it; `None` for the number of processors, or as many as `max_bytes` allows.
        max_bytes: Memory that the network (`state`: with the native engine what kernels make of constants) and the arenas of all
            threads may take together: 1 GiB unless given, as a small file may ask for much; `None` for any amount. The examples
            themselves, what Python keeps of the file, and temporary arrays of the reference engine are not counted.
        isa: Kernels of the native engine, one of `kerasq.runtime.tiers()`: `"portable"`, `"avx2"` or `"avx512vnni"`, on AArch64
            `"neon"` or `"dotprod"`; `None` for what the variable KERASQ_ISA names, else for the fastest of this processor.
        experimental_preserve_all_tensors: `invoke` keeps every tensor. Without, `get_tensor` computes those inside the network
            once more, where one is asked for.

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
        experimental_preserve_all_tensors: bool = False,
    ) -> None:
        source = arguments.source(model_path, model_content)
        arguments.check_count("num_threads", num_threads)
        arguments.check_count("max_bytes", max_bytes)
        self._engine_name = engines.choose(engine, isa)
        self._model, self._engine = engines.open_model(source, self._engine_name, isa, max_bytes, num_threads or processors())
        self._threads = memory.threads(num_threads, processors(), self._engine.arenas)
        self._preserve = bool(experimental_preserve_all_tensors)
        self._batch = 1
        self._values: Values | None = None  # made when they are first asked for
        self._chosen = {"engine": engine, "num_threads": num_threads, "isa": isa, "max_bytes": max_bytes}

    def __copy__(self) -> Interpreter:
        """An interpreter of the same network with the same values, which go their own way from now on."""
        twin = object.__new__(type(self))
        twin.__dict__ |= self.__dict__
        twin._values = None if self._values is None else self._values.copy()
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Interpreter:
        twin = self.__copy__()  # engine and network hold no state of a run: threads share them anyway
        memo[id(self)] = twin
        shared = (*_CHOSEN_ANEW, "_values")  # the twin's own values are copies already
        twin.__dict__ |= {name: copy.deepcopy(value, memo) for name, value in self.__dict__.items() if name not in shared}
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        if any(op.function is not None or op.real_zero for op in self._model.operators):
            raise TypeError("This network computes what is in memory only, and no file holds: it can't be pickled")
        arguments = {"model_content": file_format.dumps(self._model), **self._chosen}
        values = None if self._values is None else self._values.state()
        own = {name: value for name, value in self.__dict__.items() if name not in (*_CHOSEN_ANEW, "_values")}
        return _restored, (type(self), arguments, own, values)

    def _repr_html_(self) -> str:
        ends = {"input": self.get_input_details(), "output": self.get_output_details()}
        return interpreter_html(self._model, self._engine_name, ends)

    @property
    def model(self) -> Model:
        """The network as it was read."""
        return self._model

    @property
    def engine(self) -> str:
        """Name of the engine, `"native"` or `"reference"`."""
        return self._engine_name

    def allocate_tensors(self) -> None:
        """Set all inputs to 0. Need not be called: they are 0 until they are set."""
        self._values = Values(self._model, self._engine, self._threads, self._batch, self._preserve)

    def resize_tensor_input(self, input_index: int, tensor_size: Sequence[int], strict: bool = False) -> None:
        """Set the number of examples that `invoke` computes; all inputs are 0 again until they are set.

        Args:
            input_index: `index` of an input's details. All inputs get the same number.
            tensor_size: The input's shape, with any number of examples as its first axis.
            strict: Ignored: only the axis that is -1 in `shape_signature` can be resized.

        Raises:
            ValueError: Not an input of the network, or another axis than the first one differs.
        """
        tensor = self._input(input_index, "resized")
        shape = tuple(map(operator.index, tensor_size))
        if len(shape) != len(tensor.shape) or shape[1:] != tensor.shape[1:] or shape[0] < 1:
            expected = ", ".join(["examples", *map(str, tensor.shape[1:])])
            raise ValueError(f"Input {tensor.name!r} must have shape ({expected}). Received: tensor_size={shape}")
        if shape[0] != self._batch:
            self._batch, self._values = shape[0], None

    def get_signature_list(self) -> dict[str, dict[str, list[str]]]:
        """Names of the inputs and outputs of the one signature, in the form of tf.lite.

        Example:

        >>> interpreter.get_signature_list()
        {'serving_default': {'inputs': ['image'], 'outputs': ['scores']}}
        """
        return {signatures.NAME: {"inputs": [*self._model.named_inputs()], "outputs": [*self._model.named_outputs()]}}

    def get_signature_runner(self, signature_key: str | None = None) -> signatures.SignatureRunner:
        """The network as a function of its inputs by name.

        Args:
            signature_key: `"serving_default"`, or `None` for the same.

        Raises:
            ValueError: There is no such signature.
        """
        if signature_key not in (None, signatures.NAME):
            raise ValueError(f"The only signature is {signatures.NAME!r}. Received: signature_key={signature_key!r}")
        return signatures.SignatureRunner(self)

    def get_input_details(self) -> list[dict[str, Any]]:
        """Details of the network's inputs in its order, as `get_tensor_details` gives them, but with the names of its author."""
        return [self._details(index) | {"name": name} for name, index in self._model.named_inputs().items()]

    def get_output_details(self) -> list[dict[str, Any]]:
        """Details of the network's outputs, as `get_tensor_details` gives them, but with their keys, where it gives a dict."""
        return [self._details(index) | {"name": name} for name, index in self._model.named_outputs().items()]

    def get_tensor_details(self) -> list[dict[str, Any]]:
        """Details of every tensor, constants included.

        Returns:
            A dict for each tensor: `name`; `index`, for `set_tensor` and `get_tensor`; `shape`, an int32 array, and
            `shape_signature`, the same with -1 for the batch axis, which can be resized; `dtype`, the NumPy type of its stored
            values; `format`, a `kerasq.QFormat`; `quantization`, the pair (scale, zero point) with value = scale *
            (stored - zero point): the zero point is always 0, the scale a power of two, and (0.0, 0) stands for a FLOAT32
            tensor; `quantization_parameters`, the same as arrays `scales` and `zero_points`, empty for a FLOAT32 tensor.
        """
        return [self._details(index) for index in range(len(self._model.tensors))]

    def set_tensor(self, tensor_index: int, value: np.ndarray) -> None:
        """Copy stored values into an input of the network.

        Args:
            tensor_index: `index` of the input's details.
            value: Array of exactly the input's shape and dtype: stored integers of a fixed input.

        Raises:
            ValueError: Not an input of the network, or another shape or dtype.
            TypeError: No array of real numbers.
        """
        tensor, shape = self._input(tensor_index, "set"), self._shape(tensor_index)
        if type(value) is not np.ndarray:
            value = as_array(value, tensor.name)
        if value.dtype != tensor.format.dtype or value.shape != shape:
            raise ValueError(
                f"Input {tensor.name!r} ({tensor.format}) must have dtype={tensor.format.dtype}, shape={shape}. "
                f"Received: dtype={value.dtype}, shape={value.shape}"
            )
        self._allocated().set(tensor_index, value)

    def invoke(self) -> None:
        """Compute every tensor from the inputs that are set."""
        self._allocated().invoke()

    def get_tensor(self, tensor_index: int) -> np.ndarray:
        """A copy of a tensor's stored values: a constant, an input, or what the last `invoke()` computed.

        Engines use the memory of a tensor again: the first call for one inside the network computes all of them once more, and
        keeps them.

        Raises:
            ValueError: There is no such tensor.
            RuntimeError: The tensor has no value yet.
        """
        tensor = self._tensor(tensor_index)
        return (self._allocated().of(tensor_index) if tensor.data is None else tensor.data).copy()

    def tensor(self, tensor_index: int) -> Callable[[], np.ndarray]:
        """A function that returns a tensor's stored values themselves, not a copy: what is written into those of an input is set.

        Ask the function again after `invoke`, `allocate_tensors` or `resize_tensor_input`; constants can't be written into.

        Raises:
            ValueError: There is no such tensor.
            RuntimeError: (The function:) the tensor has no value yet.

        Example:

        >>> interpreter.tensor(interpreter.get_input_details()[0]["index"])()[:] = 3
        >>> interpreter.invoke()
        >>> interpreter.tensor(interpreter.get_output_details()[0]["index"])()
        """
        tensor = self._tensor(tensor_index)
        if tensor.data is None:
            return lambda: self._allocated().lend(tensor_index)
        constant = tensor.data.view()
        constant.flags.writeable = False
        return lambda: constant

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
            Array (examples, ...), float32 values or stored integers, for a single example (...); int32 labels of an output that
            is an argmax, (examples, 1) where it is one for an example. What the Keras model returns: a dict of arrays where that
            returns a dict, a list where it has several outputs otherwise.

        Raises:
            ValueError: Shapes, names, number of arrays or `batch_size` don't fit.
            TypeError: Something is no array of real numbers.
        """
        batches = Batches(self._model, x)
        size = self._size(batch_size, self._engine.batch_size(batches.examples, self._threads))
        tensors = [self._model.tensors[index] for index in self._model.outputs]
        labels = labels_of(self._model)
        of_values = [np.dtype(np.int32 if index in labels else np.float32) for index in self._model.outputs]
        dtypes = [tensor.format.dtype if raw else dtype for tensor, dtype in zip(tensors, of_values, strict=True)]
        outputs = [np.empty((batches.examples, *tensor.shape[1:]), dtype) for tensor, dtype in zip(tensors, dtypes, strict=True)]

        def compute(examples: slice) -> int:
            compute_batch = self._engine.run if batches.examples > 1 else self._run_one
            for tensor, output, stored in zip(tensors, outputs, compute_batch(batches.stored(examples)), strict=True):
                output[examples] = stored if raw else tensor.format.dequantize(stored, output.dtype)
            return examples.stop - examples.start

        with Progress("predict", batches.examples, "examples", enabled=bool(verbose)) as progress:
            for count in computed(compute, slices(batches.examples, size), self._threads):
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
            RuntimeError: The reference engine runs the network: its time says nothing.
            ValueError, TypeError: `runs` is no positive integer.

        Example:

        >>> for operator in sorted(interpreter.profile(), key=lambda operator: -operator["seconds"])[:3]:
        ...     print(f"{1e6 * operator['seconds']:8.1f} us  {operator['output']}  {operator['kernel']}")
        """
        arguments.check_count("runs", 0 if runs is None else runs)
        inputs = self._allocated().inputs
        if not isinstance(self._engine, NativeEngine):
            raise RuntimeError("Only the native engine has kernels to take the time of. Received: engine='reference'")
        network = self._engine.network
        inputs = [array[:1] for array in inputs]
        network.operator_times(network.arena(), inputs, 1)  # the first run warms up what there is to warm up
        return profile.described(self._model, network, network.operator_times(network.arena(), inputs, runs))

    def _run_one(self, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Stored outputs of one example alone, for which all threads are there."""
        example = self._engine.example([np.ascontiguousarray(array) for array in inputs])
        example.run()
        return example.outputs

    def _size(self, size: int | None, default: int) -> int:
        arguments.check_count("batch_size", size)
        return default if size is None else size

    def _tensor(self, index: int) -> Tensor:
        if isinstance(index, bool) or not isinstance(index, int | np.integer) or not 0 <= index < len(self._model.tensors):
            raise ValueError(f"Tensors are 0 to {len(self._model.tensors) - 1}. Received: tensor_index={index!r}")
        return self._model.tensors[index]

    def _input(self, index: int, what: str) -> Tensor:
        tensor = self._tensor(index)
        if index not in self._model.inputs:
            names = {self._model.tensors[index].name: index for index in self._model.inputs}
            raise ValueError(f"Only inputs of the network can be {what}: {names}. Received: index {index}, {tensor.name!r}")
        return tensor

    def _shape(self, index: int) -> tuple[int, ...]:
        tensor = self._model.tensors[index]
        return tensor.shape if tensor.is_constant else (self._batch, *tensor.shape[1:])

    def _allocated(self) -> Values:
        if self._values is None:
            self.allocate_tensors()
        assert self._values is not None
        return self._values

    def _details(self, index: int) -> dict[str, Any]:
        return details.of_tensor(self._model.tensors[index], index, self._shape(index))


def _restored(
    kind: type[Interpreter],
    arguments: dict[str, Any],
    own: dict[str, Any],
    values: dict[str, Any] | None,
) -> Interpreter:
    """An interpreter out of a pickle. (A subclass has a constructor of its own, which is not called again.)"""
    interpreter = object.__new__(kind)
    Interpreter.__init__(interpreter, **arguments)
    interpreter.__dict__ |= own
    if values is not None:
        interpreter._allocated().restore(values)
    return interpreter
