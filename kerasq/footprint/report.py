"""Whether a network fits a board, as text."""

from __future__ import annotations

import re

from kerasq.footprint.footprint import Footprint
from kerasq.rich import notebook_table, paragraph
from kerasq.text import printable, table

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}


def parsed_size(text: str) -> int:
    """Bytes, of a text such as 65536, 64K, 64KB or 1.5M: K is 1,024 bytes.

    Raises:
        ValueError: It is none.
    """
    match = re.fullmatch(r" *(\d+(?:\.\d+)?) *([KM]?)(?:i?B)? *", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"a number of bytes such as 65536, 64K or 1M was expected. Received: {text!r}")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def fit_report(fit: Footprint) -> str:
    """What a network takes on a board, and the verdict."""
    memory = table(_MEMORY, memory_rows(fit), right=("bytes", "of"))
    columns = work_columns(fit)
    work = table(columns, work_rows(fit), right=("#", *columns[3:]))
    return f"{fit_title(fit)}:\n{memory}\n\n{work}\n\n{fit_verdict(fit)}"


def fit_html(fit: Footprint) -> str:
    """The same for a notebook."""
    columns = work_columns(fit)
    tables = [
        notebook_table(("memory", "part", "bytes", "of", "share"), memory_rows(fit), right=("bytes", "of", "share")),
        notebook_table(columns, work_rows(fit), right=("#", *columns[3:])),
    ]
    return "".join([paragraph(*fit_verdict(fit).splitlines(), title=fit_title(fit)), *tables])


def fit_title(fit: Footprint) -> str:
    """The board, and what the figures hold for."""
    board = fit.board
    about = [board.core] * (board.core != board.name) + [f"{board.megahertz} MHz"] * (board.megahertz is not None)
    details = f" ({', '.join(about)})" if about else ""
    return f"on {board.name}{details}, the runtime compiled with -O2"


_MEMORY = ("", "", "bytes", "of", "")


def memory_rows(fit: Footprint) -> list[list[str]]:
    """Rows of kind of memory, part, bytes, limit, share."""
    parts = {
        "flash": {"network": fit.network, "code": fit.code, "constants of the code": fit.constants},
        "RAM": {"arena": fit.arena, "state": fit.state, "stack": fit.stack},
    }
    rows = []
    for name, total, limit in (("flash", fit.flash, fit.flash_limit), ("RAM", fit.ram, fit.ram_limit)):
        rows += [[name, part, f"{size:,}", "", ""] for part, size in parts[name].items()]
        share = ["", ""] if limit is None else [f"{limit:,}", f"{total / limit:.0%}" if limit else ""]
        rows.append([name, "all", f"{total:,}", *share])
    return rows


def work_columns(fit: Footprint) -> tuple[str, ...]:
    """Of `work_rows`: cycles only where there is a model of them."""
    return ("#", "kernel", "output", "MACs", "instructions", *(("cycles",) if fit.cycles is not None else ()))


def work_rows(fit: Footprint) -> list[list[str]]:
    """A row for each operator."""
    rows = []
    for position, work in enumerate(fit.operators):
        counts = [work.macs or None, work.instructions, *([work.cycles] if fit.cycles is not None else [])]
        rows.append([str(position), work.kernel, printable(work.output), *map(_count, counts)])
    return rows


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def fit_verdict(fit: Footprint) -> str:
    """Time and fit, in sentences."""
    return "\n".join([*_time(fit), *_fit(fit)])


def _time(fit: Footprint) -> list[str]:
    if fit.instructions is None:
        missing = sorted({work.kernel for work in fit.operators if work.instructions is None})
        return [f"time: no estimate, for want of one of {', '.join(missing)}"]
    parts = [f"{_rounded(fit.instructions / 1e6)} million instructions an inference"]
    if fit.cycles is not None:
        parts.append(f"{_rounded(fit.cycles / 1e6)} million cycles by a model (memory without wait states)")
    if fit.milliseconds is not None:
        parts.append(f"{_rounded(fit.milliseconds)} ms at {fit.board.megahertz} MHz")
    if fit.cycles is None:
        parts.append(f"cycles are not modelled for {fit.board.core}")
    return [f"time, estimated: {', '.join(parts)}"]


def _rounded(number: float) -> str:
    """To three digits, or to a whole number."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _fit(fit: Footprint) -> list[str]:
    if fit.fits is None:
        return ["whether it fits: --flash and --ram say what there is"]
    if fit.problems:
        return [f"does not fit: {problem}" for problem in fit.problems]
    left = [
        f"{limit - used:,} bytes of {what}"
        for what, used, limit in (("flash", fit.flash, fit.flash_limit), ("RAM", fit.ram, fit.ram_limit))
        if limit is not None
    ]
    return [f"fits: {' and '.join(left)} are left for the rest of the program"]
