"""What an option is: an annotated field of a dataclass that says everything that Python, `help()` and a command line need.

    bits: Annotated[int, Option("Width of automatic buffers, 8 or 16.", flag="Width of activations, 8 or 16.")] = 8

Whoever serves options (checks.py, flags.py, `document`) walks over `options_of` the dataclass and has no list of names.
"""

from __future__ import annotations

import dataclasses
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kerasq_convert.settings.settings import nearest

_WIDTH = 120


@dataclasses.dataclass(frozen=True)
class Option:
    """What is said of an option. Problems are sentences in which options stand in back quotes (see `OptionsError`).

    Attributes:
        doc: What documentation says.
        flag: Help of the flag, with what stands for its value in back quotes; `None`: there is no flag.
        choices: The values that the flag can have; none: all of its type.
        parse: Makes the option of the texts of a flag that may be repeated; raises `ValueError`.
        read: Makes it of the text of a flag, where that is not of the option's type; raises `ValueError`.
        check: Takes the value and all options, and tells problems.
        asked: The same, where a command line asks for it: an attribute does not tell whether it was set, or has its default.
        opened: Opens the file that the value may name; raises `ConversionError`.
        is_kept: Whether that file must not be written by the same command.
    """

    doc: str
    flag: str | None = None
    choices: tuple[str, ...] = ()
    parse: Callable[[list[str]], Any] | None = None
    read: Callable[[str], Any] | None = None
    check: Callable[[Any, Any], Iterable[str]] | None = None
    asked: Callable[[Any, Any], Iterable[str]] | None = None
    opened: Callable[[Any], object] | None = None
    is_kept: bool = False


@dataclasses.dataclass(frozen=True)
class Declared:
    """An option of a dataclass: the field's name, its type (`None` apart) and its default, and what is said of it."""

    name: str
    type: Any
    default: Any
    option: Option

    @property
    def parts(self) -> tuple[Declared, ...]:
        """The options that this one consists of, where its type is a dataclass of options: those have the flags."""
        return options_of(self.type) if dataclasses.is_dataclass(self.type) else ()


def options_of(owner: Any) -> tuple[Declared, ...]:
    """The options of a dataclass, in order, those of its bases first."""
    declaring = next(cls for cls in owner.__mro__ if "__dataclass_fields__" in vars(cls))  # not what a user made of it
    hints = typing.get_type_hints(declaring, include_extras=True)
    return tuple(
        Declared(field.name, _without_none(hint.__origin__), field.default, option)
        for field in dataclasses.fields(declaring)
        for hint in [hints[field.name]]
        for option in getattr(hint, "__metadata__", ())
        if isinstance(option, Option)
    )


def values_of(options: Any) -> Iterator[tuple[Declared, Any]]:
    """What the options of an object are, those of its parts included."""
    for declared in options_of(type(options)):
        value = getattr(options, declared.name)
        yield declared, value
        if declared.parts and isinstance(value, declared.type):
            yield from values_of(value)


def _without_none(hint: Any) -> Any:
    alternatives = [part for part in typing.get_args(hint) if part is not types.NoneType]
    return alternatives[0] if len(alternatives) == 1 and types.NoneType in typing.get_args(hint) else hint


def document(cls: type) -> type:
    """A class decorator: the line `{options}` of its docstring becomes what there is to say of each option.

    Signatures have the types alone, as `help()` would else show declarations whole.
    """
    init: Any = cls.__init__  # type: ignore[misc]
    if "__dataclass_fields__" in vars(cls):
        init.__annotations__ = {name: getattr(hint, "__origin__", hint) for name, hint in init.__annotations__.items()}
    cls.__doc__ = (cls.__doc__ or "").replace("{options}", "\n".join(_paragraphs(options_of(cls))).lstrip())
    return cls


def _paragraphs(options: Iterable[Declared]) -> Iterator[str]:
    wrapped = textwrap.TextWrapper(_WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 12, break_on_hyphens=False)
    for declared in options:
        yield wrapped.fill(f"{declared.name}: {declared.option.doc}")


def unknown_option(owner: Any, name: str) -> AttributeError:
    """The error for an attribute that an object with options has not."""
    names = [name for name in vars(owner) if not name.startswith("_")]
    hint = nearest(name, names) or f"; there are {', '.join(names)}"
    return AttributeError(f"{type(owner).__name__} has no option {name!r}{hint}", name=name, obj=owner)
