"""The figures of README's results: where each stands, which measurement gives it, and by how much it may differ.

A figure is taken from README by its row and column in a table, or by the words around it. A row, column or sentence that is not
in the register (register.py) is an error, so that no figure is published that figures.py doesn't measure.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence

README = pathlib.Path(__file__).parents[2] / "README.md"
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
TRAINED_EXAMPLES = 500  # that a network of standins.py is tested on


class RegisterError(Exception):
    """README and the register don't go together; the text says where."""


Error = Callable[[float], float | None]  # of a figure; `None` where no other machine is to come near it


def exactly(_: float) -> float:
    """What is counted or stored, the same everywhere."""
    return 0.0


def no_other_machine(_: float) -> None:
    """Seconds: what is compared is their ratio to a peer's."""


def share(part: float) -> Error:
    """A part of the figure."""
    return lambda value: part * value


def points(size: float) -> Error:
    """Percentage points."""
    return lambda _: size


def trained_anew(value: float) -> float:
    """Two standard errors of the difference of two networks' scores in %, trained by the same program on two machines."""
    return 200 * math.sqrt(2 * value / 100 * (1 - value / 100) / TRAINED_EXAMPLES)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A figure of README.

    Attributes:
        where: Table or sentence, row and column.
        text: The figure as it is printed.
        measurement, key: What gives it.
        error: By how much a measured value may differ, rounding of the text included; `None`: it isn't judged.
        is_limit: Whether the figure is the most that may be measured.
    """

    where: str
    text: str
    measurement: str
    key: str
    error: float | None
    is_limit: bool = False

    @property
    def value(self) -> float:
        return float(self.text.replace(",", ""))

    def holds(self, measured: float) -> bool | None:
        """Whether what was measured is as README says; `None` where that isn't judged."""
        if self.error is None:
            return None
        difference = measured - self.value
        return (difference if self.is_limit else abs(difference)) <= self.error * (1 + 1e-9)


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table: its title, the keys of the numbers in a cell, and their errors."""

    title: str
    keys: tuple[str, ...]
    error: Error


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of README.

    Attributes:
        title: What the page calls it.
        first: Title of the first column.
        rows: For every row the name of its values, and a pattern of its first cell; a group in it is the number NAME.macs.
        columns: All others.
        source: (row, key) -> measurement and key.
    """

    title: str
    first: str
    rows: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    source: Callable[[str, str], tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Sentence:
    """Figures in prose: a pattern with a group for each key; a space in it is any white space."""

    title: str
    pattern: str
    measurement: str
    keys: tuple[str, ...]
    error: Error
    is_limit: bool = False


def claim(where: str, text: str, source: tuple[str, str], error: Error, is_limit: bool = False) -> Claim:
    """A claim whose error includes the rounding of its text."""
    value, decimals = float(text.replace(",", "")), len(text.partition(".")[2])
    allowed = error(value)
    return Claim(where, text, *source, None if allowed is None else allowed + 0.5 * 10.0**-decimals, is_limit)


def claims(tables: Sequence[Table], sentences: Sequence[Sentence], readme: str) -> list[Claim]:
    """All of them, in README's order of tables.

    Raises:
        RegisterError: README has a table, row, column or number in its results that is registered nowhere, or lacks one that is.
    """
    printed = {tuple(header[:2]): (header, rows) for header, rows in tables_of(readme.partition("\n## Results\n")[2])}
    of_tables = {(table.first, table.columns[0].title): table for table in tables}
    if printed.keys() != of_tables.keys():
        raise RegisterError(f"README has the tables {[*printed]}, the register {[*of_tables]}, by their first two columns")
    in_tables = [claim for begin, table in of_tables.items() for claim in _of_table(table, *printed[begin])]
    return in_tables + [claim for sentence in sentences for claim in _of_sentence(sentence, readme)]


def tables_of(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Header and rows of all tables of a Markdown text."""
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        header, _, *rows = ([cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines())
        yield header, rows


def _of_table(table: Table, header: list[str], rows: list[list[str]]) -> Iterator[Claim]:
    titles = [table.first, *(column.title for column in table.columns)]
    if header != titles:
        raise RegisterError(f"{table.title}: README has the columns {header}, the register {titles}")
    if len(rows) != len(table.rows):
        raise RegisterError(f"{table.title}: README has {len(rows)} rows, the register {len(table.rows)}")
    for (name, pattern), (first, *cells) in zip(table.rows, rows, strict=True):
        match = re.fullmatch(pattern, first.replace("**", ""))
        if match is None:
            raise RegisterError(f"{table.title}: README's row {first!r} is {pattern!r} in the register")
        for text in match.groups():
            yield claim(f"{table.title}: {first}, multiply-accumulates", text, table.source(name, "macs"), exactly)
        for column, cell in zip(table.columns, cells, strict=True):
            numbers = NUMBER.findall(cell)
            if cell and len(numbers) != len(column.keys):
                raise RegisterError(f"{table.title}: {first}, {column.title}: README has {cell!r}, the register {column.keys}")
            for key, text in zip(column.keys, numbers, strict=False):
                where = f"{table.title}: {first.replace('**', '')}, {column.title}{_named(key, column.keys)}"
                yield claim(where, text, table.source(name, key), column.error)


def _of_sentence(sentence: Sentence, readme: str) -> Iterator[Claim]:
    match = re.search(sentence.pattern.replace(" ", r"\s+"), readme)
    if match is None:
        raise RegisterError(f"README has no sentence {sentence.pattern!r}")
    for key, text in zip(sentence.keys, match.groups(), strict=True):
        where = f"{sentence.title}{_named(key, sentence.keys)}"
        yield claim(where, text, (sentence.measurement, key), sentence.error, sentence.is_limit)


def _named(key: str, keys: tuple[str, ...]) -> str:
    """Which of several numbers one is."""
    return f" ({key})" if len(keys) > 1 else ""
