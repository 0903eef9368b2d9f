"""Reading and writing .kq files, with every gate between a file and a network that runs: what `kerasq.format` offers."""

from __future__ import annotations

import os
from collections.abc import Iterator

from kerasq.files import write_whole
from kerasq.format import reader, writer
from kerasq.format.errors import ModelError
from kerasq.format.model import Model
from kerasq.format.names import named
from kerasq.verification.plan import needed_version
from kerasq.verification.verifier import verify

LISTED = 3  # tables told by name that a file can't hold: an unrolled recurrent layer has some for every step


def load(path: str | os.PathLike[str]) -> Model:
    """The model in a file.

    Args:
        path: Of a .kq file.

    Raises:
        OSError: The file can't be read.
        ModelError: It is not a .kq file, or the network in it is not safe to run. The message lists every problem.

    Example:

    >>> len(kerasq.format.load("model.kq").operators)
    31
    """
    try:
        return loads(reader.read_bytes(path))
    except ModelError as error:
        raise ModelError(error.problems, os.fspath(path)) from None


def loads(data: bytes) -> Model:
    """The model in the bytes of a file.

    Args:
        data: Contents of a .kq file. Constants of the model are views on it where they are not packed.

    Raises:
        ModelError: As `load`.
    """
    model = named(reader.unverified(data))
    verify(model)
    return model


def dump(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model to a file, all or nothing.

    The bytes go to a new file in the same folder, which then takes the name: a reader sees the old contents or the new ones.

    Raises:
        ModelError: The model breaks a rule of the format (nothing is written).
        OSError: The file can't be written (nothing is left behind).
    """
    write_whole(path, dumps(model))


def dumps(model: Model, *, compact: bool = True) -> bytes:
    """The bytes of a file that holds `model`.

    Args:
        model: To write.
        compact: Whether to leave out what readers since version 3 of the format can tell, and to align constants to 4 bytes
            rather than 16. Without it older readers, too, read what has nothing else that is new to them.

    Raises:
        ModelError: The model breaks a rule of the format; all problems are listed.
    """
    verify(model)
    if problems := list(_functions(model)):
        raise ModelError(problems)
    return writer.unverified(model, needed_version(model), compact=compact)


def _functions(model: Model) -> Iterator[str]:
    """Operators of a sound model that only memory can hold: the first of them, and how many more there are."""
    held = [operator for operator in model.operators if operator.function is not None]
    remedy = "give it FIXED8 or FIXED16, or let its range be observed (representative dataset)"
    for operator in held[:LISTED]:
        (x,) = (tensor.name for tensor in model.operands(operator) if tensor is not None)
        yield (
            f"{operator.kind} {model.output(operator).name!r} reads {x!r} as FLOAT32, but a file's tables are for fixed "
            f"inputs: {remedy}"
        )
    if len(held) > LISTED:
        yield f"{len(held) - LISTED:,} more tables read FLOAT32"
    for operator in (operator for operator in model.operators if operator.real_zero):
        yield f"{operator.kind} {model.output(operator).name!r} reads FLOAT32 with an offset, and a file has none in float"
