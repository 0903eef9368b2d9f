"""The engines by name, and a model opened for one of them.

`"native"` is the runtime in C, `"reference"` the one in NumPy. A file is verified once, by the one that runs it; what the
runtime refuses is read again in Python, whose reader lists everything that is wrong. (`kerasq.format` imports the rules in Python
when they are first asked for: who runs files in the runtime does without them.)
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np

from kerasq import format as file_format
from kerasq.format.errors import ModelError, ModelTooLargeError
from kerasq.format.model import Model
from kerasq.format.names import named
from kerasq.format.reader import read_bytes, unverified
from kerasq.interpreter.batches import Observer
from kerasq.interpreter.native import NativeEngine
from kerasq.runtime import Network, available

NAMES = ("native", "reference")


class Example(Protocol):
    """Stored values of one example's inputs, and of the outputs of its last run.

    Attributes:
        inputs: An array for each input. `set` replaces it, and nothing writes into it.
        outputs: An array for each output, which the next run may write into.
    """

    inputs: list[np.ndarray]
    outputs: list[np.ndarray]

    def set(self, position: int, stored: np.ndarray) -> None: ...

    def run(self) -> None: ...

    def copy(self) -> Self: ...


class Engine(Protocol):
    """What runs a network on batches of stored values. Threads may share it.

    Attributes:
        arenas: How many arenas may exist at once; `None` for any number.
    """

    @property
    def arenas(self) -> int | None: ...

    def run(self, inputs: Sequence[np.ndarray], observe: Observer | None = None) -> list[np.ndarray]: ...

    def example(self, inputs: Sequence[np.ndarray]) -> Example: ...

    def batch_size(self, examples: int, threads: int) -> int: ...


def choose(engine: str | None, isa: str | None) -> str:
    """The engine's name: `engine`, or if that is `None` the fastest that is installed.

    Raises:
        ValueError: There is no such engine, or it takes no `isa`.
    """
    if engine is not None and engine not in NAMES:
        raise ValueError(f"`engine` must be one of {', '.join(map(repr, NAMES))}, or None. Received: engine={engine!r}")
    if isa is not None and not isinstance(isa, str):
        raise TypeError(f"`isa` must be one of kerasq.runtime.tiers(), or None. Received: isa={isa!r}")
    if engine == "reference" and isa is not None:
        raise ValueError(f"The reference engine has no instruction sets to choose from: leave `isa` out. Received: isa={isa!r}")
    if engine is not None:
        return engine
    # Who names a library or an instruction set is not served by another engine in silence.
    if isa is not None or os.environ.get("KERASQ_LIBRARY") or available():
        return "native"
    _say_that_it_is_slow()
    return "reference"


@functools.cache
def _say_that_it_is_slow() -> None:
    import logging

    logging.getLogger("kerasq").warning(
        "kerasq: the native engine is not installed, the reference engine computes the same integers in many times the time: "
        "install a C compiler and then kerasq again"
    )


def open_model(
    source: str | os.PathLike[str] | bytes | Model, engine: str, isa: str | None, max_bytes: int | None, threads: int = 1
) -> tuple[Model, Engine]:
    """A model and the engine that runs it.

    Args:
        source: Path of a .kq file, its bytes, or the model.
        engine: As `choose` returns it.
        isa: Kernels of the native engine (`kerasq.runtime.Network`).
        max_bytes: What the network and its arenas may take; `None` for any amount.
        threads: That may compute one example together in the native engine.

    Raises:
        ModelError: The file breaks a rule of the format.
        ModelTooLargeError: It takes more than `max_bytes`.
        OSError: It can't be read, or the native library is not installed.
    """
    if isinstance(source, Model):
        if engine == "reference":
            file_format.verify(source)
            return source, _reference(source, max_bytes)
        return source, NativeEngine(source, Network(file_format.dumps(source), isa, max_bytes), max_bytes, threads)
    path = source if isinstance(source, str | os.PathLike) else None
    content = bytes(memoryview(source)) if path is None else read_bytes(path)  # type: ignore[arg-type]
    try:
        if engine == "reference":
            model = file_format.loads(content)
            return model, _reference(model, max_bytes)
        network = _prepare(content, isa, max_bytes)
        model = named(unverified(content))
        return model, NativeEngine(model, network, max_bytes, threads)
    except ModelError as error:
        raise type(error)(error.problems, None if path is None else os.fspath(path)) from None


def _prepare(content: bytes, isa: str | None, max_bytes: int | None) -> Network:
    """The network in the runtime, or the complete list of problems."""
    try:
        return Network(content, isa, max_bytes)
    except ModelTooLargeError:
        raise
    except ModelError:
        file_format.loads(content)
        raise


def _reference(model: Model, max_bytes: int | None) -> Engine:
    from kerasq.interpreter.reference import ReferenceEngine  # the operators in NumPy: only who runs them imports them

    return ReferenceEngine(model, max_bytes)
