"""What `--help` prints: usage, description and flags of a command, in lines of the terminal's width.

80 characters, unless the variable COLUMNS or the terminal says otherwise. A description is prose in paragraphs; of indented ones
those that begin with a command are code, those with two columns are terms with their meaning, and others are prose.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags

from kerasq.text import line_width

_WIDTH = 80
_LONGEST_FLAG = 28  # characters; the meaning of a longer one begins below it
_NARROWEST = 20  # characters of a meaning in a line
_CODE = re.compile(r"(kerasq-|python |pip |#)")
_TERM = re.compile(r"(\S+(?: \S+)*) {2,}(\S.*)")


def help_width() -> int:
    """Characters of a line of help."""
    return min(line_width() or _WIDTH, 2 * _WIDTH)


def help_text(usage: str, doc: str | None, options: flags.FlagValues) -> str:
    """All that `--help` prints."""
    return f"{filled_usage(usage)}\n\n{filled(doc or '')}\n\nFlags:\n{flag_table(options)}"


def filled_usage(usage: str) -> str:
    """`usage: NAME ARGUMENTS`, broken between arguments; what is in brackets stays together where it fits."""
    width, indent = help_width(), " " * len(" ".join(usage.split()[:2])) + " "
    if len(indent) > width // 2:
        indent = "  "
    lines = [""]
    for part in _parts(usage.split(" ")):
        if lines[-1] and len(lines[-1]) + 1 + len(part) > width:
            lines.append(indent + part)
        else:
            lines[-1] = f"{lines[-1]} {part}".lstrip() if len(lines) == 1 else f"{lines[-1]} {part}"
    return "\n".join(piece for line in lines for piece in _wrapped(line, width, "", indent))


def _parts(words: Sequence[str]) -> Iterator[str]:
    """Words, those within brackets as one."""
    part, depth = "", 0
    for word in words:
        part = f"{part} {word}".strip()
        depth += word.count("[") - word.count("]")
        if depth == 0:
            yield part
            part = ""
    if part:
        yield part


def filled(doc: str) -> str:
    """A description with its paragraphs filled to the width of the help."""
    paragraphs = re.split(r"\n\s*\n", doc.strip("\n"))
    return "\n\n".join("\n".join(_paragraph(paragraph.splitlines())) for paragraph in paragraphs)


def _paragraph(lines: Sequence[str]) -> list[str]:
    width, first = help_width(), lines[0]
    indent = " " * (len(first) - len(first.lstrip()))
    if indent and _CODE.match(first.lstrip()):
        return [piece for line in lines for piece in _code(line.strip(), indent, width)]
    if indent and _TERM.fullmatch(first.strip()):
        return _terms(lines, indent, width)
    return _wrapped(" ".join(line.strip() for line in lines), width, indent, indent)


def _code(line: str, indent: str, width: int) -> list[str]:
    """A command, with backslashes where it needs several lines."""
    if len(indent) + len(line) <= width:
        return [indent + line]
    *pieces, last = _wrapped(line, width - 2, indent, indent + "    ")
    return [*(f"{piece} \\" for piece in pieces), last]


def _terms(lines: Sequence[str], indent: str, width: int) -> list[str]:
    """Terms and their meanings in two columns."""
    entries: list[list[str]] = []
    for line in lines:
        match = _TERM.fullmatch(line.strip())
        if match and line.startswith(indent) and not line[len(indent)].isspace():
            entries.append([match[1], match[2]])
        else:
            entries[-1][1] += f" {line.strip()}"
    left = len(indent) + max(len(term) for term, _ in entries) + 2
    return [line for term, meaning in entries for line in _beside(indent + term, meaning, left, width)]


def flag_table(options: flags.FlagValues) -> str:
    """Two columns: the flags in the order of their definition, and what they mean."""
    described = dict(_describe(options[name]) for name in options)  # short names are keys of the same flags
    width = help_width()
    longest = min(_LONGEST_FLAG, max(width - _NARROWEST - 4, 4))
    left = max((len(flag) for flag in described if len(flag) <= longest), default=0) + 4
    return "\n".join(line for flag, text in described.items() for line in _beside(f"  {flag}", text, left, width))


def _beside(term: str, meaning: str, left: int, width: int) -> list[str]:
    """A meaning to the right of a term, or below it where that is too long."""
    left = min(left, max(width - _NARROWEST, 4))
    lines = _wrapped(meaning, width, " " * left, " " * left)
    if len(term) + 2 > left:
        return [*_wrapped(term, width, "", "    "), *lines]
    return [f"{term:{left}}{lines[0].lstrip()}".rstrip() if lines else term, *lines[1:]]


def _wrapped(text: str, width: int, first: str, others: str) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)


def _describe(flag: flags.Flag[Any]) -> tuple[str, str]:
    """`-o, --output FILE` and what it means."""
    value = value_of(flag)
    choices = "|".join(choices_of(flag))
    names = f"-{flag.short_name}, --{flag.name}" if flag.short_name else f"--{flag.name}"
    meaning = " ".join(flag.help.removeprefix(f"<{choices}>: ").replace("`", "").split())
    meaning = re.sub(r"\.?; repeat this option to specify a list of values$", ". May be repeated.", meaning)  # absl's words
    default = f" Default: {flag.default}." if flag.default not in (None, False, []) else ""
    return f"{names} {value}".rstrip(), meaning + default


def choices_of(flag: flags.Flag[Any]) -> Sequence[str]:
    """The values that a flag may have, where they are few."""
    return getattr(flag.parser, "enum_values", ())


def value_of(flag: flags.Flag[Any]) -> str:
    """What stands for a flag's value: its choices, or the name in back quotes in its help; empty for a flag without one."""
    quoted = re.search("`(.+?)`", flag.help)
    return "|".join(choices_of(flag)) or (quoted[1] if quoted else "")
