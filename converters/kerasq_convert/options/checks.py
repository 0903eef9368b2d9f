"""What the options of a conversion must be, each alone and together, before anything is read.

An option that does nothing without another is an error, as a misspelt one is: who gives it expects something of it. Texts have
options in back quotes, which become attributes of `Converter` or, on a command line, flags.
"""

from __future__ import annotations

import re
from typing import Any

from kerasq_convert.errors import ConversionError
from kerasq_convert.options.option import values_of

_OPTION = re.compile(r"`((?:goals\.)?(\w+))`")


class OptionsError(ConversionError):
    """Options contradict each other, or do nothing."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("options", [_OPTION.sub(r"\1", problem) for problem in problems])
        self._marked = problems

    def as_flags(self) -> str:
        """The message for a command line."""
        return "; ".join(_OPTION.sub(r"--\2", problem) for problem in self._marked)


def check_options(options: Any) -> None:
    """Whether the options of a conversion make sense together.

    Raises:
        OptionsError: With every one that does not.
        ConversionError: A file that they name does not exist, or does not hold what it must.
    """
    values = [(declared.option, value) for declared, value in values_of(options)]
    if problems := [problem for option, value in values if option.check for problem in option.check(value, options)]:
        raise OptionsError(problems)
    for option, value in values:
        if option.opened:
            option.opened(value)
