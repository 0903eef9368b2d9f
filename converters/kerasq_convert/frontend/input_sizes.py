"""The sizes of a network's inputs: those of the model, and where it leaves them open those that the user gives."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from kerasq_convert.errors import ConversionError
from kerasq_convert.graph import Shape

Declared = Mapping[str, Sequence[int | None] | None]  # sizes by input, without the batch; None where they are open


class InputSizes:
    """What the user says of the sizes of inputs.

    Args:
        wanted: Sizes without the batch, by name of the input or, for a network with one, alone: `(10200, 4)`.
        strict: Whether all of them must be sizes of the network's inputs. Else they are those of a conversion of the network:
            only open sizes are taken from them, and where no name is known, in their order.

    Raises:
        ConversionError: These are no sizes.
    """

    def __init__(self, wanted: Mapping[str, Sequence[int]] | Sequence[int] | None = None, *, strict: bool = True):
        self._strict = strict
        by_name = wanted if isinstance(wanted, Mapping) else {} if wanted is None else {"": wanted}
        self._wanted: dict[str, Shape] = {}
        for name, sizes in by_name.items():
            try:
                self._wanted[name] = tuple(operator.index(size) for size in sizes)
            except TypeError:
                self._wanted[name] = (0,)
            if min(self._wanted[name], default=1) < 1:
                what = f"of input {name!r}: " if name else ""
                problem = (
                    f"{what}whole numbers of at least 1 were expected, without the batch, as (224, 224, 3). Received: {sizes!r}"
                )
                raise ConversionError("input_shape", [problem])

    def fixed(self, source: str, declared: Declared) -> dict[str, Shape]:
        """The sizes of every input, without the batch.

        Args:
            source: What error messages call the model.
            declared: What the model says of them.

        Raises:
            ConversionError: A size is open and not given, or the model has another one, or there is no such input.
        """
        wishes, names = dict(self._wanted), ", ".join(map(repr, declared))
        problems = []
        if not self._strict:
            if not wishes.keys() & declared.keys() and len(wishes) == len(declared):
                wishes = dict(zip(declared, wishes.values(), strict=True))
            is_open = {name for name, sizes in declared.items() if sizes is None or None in sizes}
            wishes = {name: wanted for name, wanted in wishes.items() if name in is_open}
        if "" in wishes and len(declared) == 1:
            wishes = {next(iter(declared)): wishes[""]}
        for name in sorted(wishes.keys() - declared.keys()):
            said = f"there is no input {name!r}" if name else "sizes without a name are for a network with one input"
            problems.append(f"input_shape: {said}; the inputs are {names}")
        fixed = {}
        for name, sizes in declared.items():
            wanted = wishes.get(name)
            if wanted is not None and sizes is not None and not _fits(wanted, sizes):
                problems.append(f"input_shape: input {name!r} has the shape {_shown(sizes)}, which {wanted} does not fit")
            elif wanted is None and (sizes is None or None in sizes):
                example = ",".join("64" if size is None else str(size) for size in sizes or (64, 64, 3))
                flag = f"{name}={example}" if len(declared) > 1 else example
                problems.append(
                    f"input {name!r} has the shape {_shown(sizes)}: every size but the batch must be fixed. Give the sizes that "
                    f"the device will see (--input_shape {flag}, or the Converter's input_shape), or build the model with "
                    "keras.Input(shape) of them"
                )
            else:
                fixed[name] = wanted or tuple(size for size in sizes or () if size is not None)
        if problems:
            raise ConversionError(source, problems)
        return fixed


def _fits(sizes: Shape, declared: Sequence[int | None]) -> bool:
    return len(sizes) == len(declared) and all(size in (None, wanted) for size, wanted in zip(declared, sizes, strict=True))


def _shown(sizes: Sequence[int | None] | None) -> str:
    return "(unknown)" if sizes is None else f"({', '.join(['batch', *('?' if size is None else str(size) for size in sizes)])})"


def parse(texts: Sequence[str]) -> dict[str, Any]:
    """`input_shape` from texts `name=10200,4` or `10200,4`.

    Raises:
        ValueError: A text is no such thing, or two are for the same input; the message says which.
    """
    shapes: dict[str, Any] = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        if name in shapes:
            raise ValueError(f"the sizes of {'input ' + repr(name) if name else 'the input'} are given twice")
        try:
            shapes[name] = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            raise ValueError(
                f"sizes without the batch were expected, as 224,224,3 or name=224,224,3. Received: {text!r}"
            ) from None
    return shapes
