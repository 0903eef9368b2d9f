"""Options as flags of a command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from absl import flags

from kerasq_convert.options.checks import OptionsError
from kerasq_convert.options.option import Declared, options_of, values_of

_DEFINE = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}


def define_flags(owner: type, values: flags.FlagValues) -> None:
    """Defines a flag for every option of a dataclass that has one."""
    for declared in _with_flags(owner):
        name, default, option = declared.name, declared.default, declared.option
        if option.choices:
            flags.DEFINE_enum(name, str(default), option.choices, option.flag, flag_values=values)
        elif option.parse:
            flags.DEFINE_multi_string(name, [], option.flag, flag_values=values)
        elif option.read:
            flags.DEFINE_string(name, None if default is None else str(default), option.flag, flag_values=values)
        else:
            _DEFINE.get(declared.type, flags.DEFINE_string)(name, default, option.flag, flag_values=values)


def options_from(owner: type, values: flags.FlagValues) -> Any:
    """The dataclass with what a command line says.

    Raises:
        ValueError: A flag's value is none of its option; the message names the flag.
        OptionsError: A flag was given that does nothing.
    """
    options = _read(owner, values)
    asked = [
        (value, declared.option.asked)
        for declared, value in values_of(options)
        if declared.option.asked is not None and values[declared.name].present
    ]
    problems = [problem for value, tell in asked for problem in tell(value, options)]
    if problems:
        raise OptionsError(problems)
    return options


def flags_given(owner: type, values: flags.FlagValues) -> list[str]:
    """Names of the options that a command line asks for: to say that something is off, as it is anyway, asks for nothing."""
    return [
        declared.name
        for declared in _with_flags(owner)
        if values[declared.name].present and (declared.default or values[declared.name].value != declared.default)
    ]


def kept_files(owner: type, values: flags.FlagValues) -> list[str]:
    """The files that flags name to be read, and that must stay as they are."""
    named = [values[declared.name].value for declared in _with_flags(owner) if declared.option.is_kept]
    return [name for name in named if name]


def _with_flags(owner: Any) -> Iterator[Declared]:
    for declared in options_of(owner):
        if declared.parts:
            yield from _with_flags(declared.type)
        elif declared.option.flag is not None:
            yield declared


def _read(owner: type, values: flags.FlagValues) -> Any:
    read = {}
    for declared in options_of(owner):
        if declared.parts:
            read[declared.name] = _read(declared.type, values)
        elif declared.option.flag is not None:
            read[declared.name] = _value(declared, values)
    return owner(**read)


def _value(declared: Declared, values: flags.FlagValues) -> Any:
    value, option = values[declared.name].value, declared.option
    try:
        if option.parse:
            return option.parse(value) or None
        return value if value is None or option.read is None else option.read(value)
    except ValueError as error:
        raise ValueError(f"--{declared.name}: {error}") from error
