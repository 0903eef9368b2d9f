"""The memory plan as text: the arena from left to right, the operators in their order from top to bottom.

         0                                                            256
    in   ######
     0   ======########                                               112  conv/output
     1   ######========                                               128  pool/output  <- peak

`#` is what an operator writes, `=` what it reads, `.` what is kept for later; the number is the bytes in use, every tensor
rounded up to the alignment.
"""

from __future__ import annotations

from collections.abc import Iterator

from kerasq.format.model import Model
from kerasq.text import line_width, printable
from kerasq.verification import plan

WIDTH = 64
_NARROWEST = 8
_BESIDE = 40  # characters of a line for position, bytes in use and most of a name
LEGEND = "# written   = read   . kept"


def picture(model: Model, width: int | None = None) -> str:
    """The plan of a model as lines of text, no longer than the terminal's.

    Args:
        width: Characters that the whole arena takes; by default `WIDTH`, less where lines are shorter.
    """
    limit = line_width()
    if width is None:
        width = WIDTH if limit is None else min(WIDTH, max(limit - _BESIDE, _NARROWEST))
    return "\n".join(line[:limit] for line in _lines(model, width))


def _lines(model: Model, width: int) -> Iterator[str]:
    profile = plan.profile(model)
    spans = model.lifetimes()
    size = f"{model.arena_bytes:,}"
    yield f"{'':6}0{size:>{width - 1}}  in use"
    for position in range(-1, len(model.operators)):
        operator = model.operators[position] if position >= 0 else None
        written = operator.outputs if operator else model.inputs
        read = operator.inputs if operator else ()
        cells = [" "] * width
        # What is written is drawn last: it may lie over what is read.
        alive = [index for index, (first, last) in spans.items() if first <= position <= last]
        for index in sorted(alive, key=lambda index: (index in written, index in read)):
            mark = "#" if index in written else "=" if index in read else "."
            first, end = _columns(model, index, width)
            cells[first:end] = mark * (end - first)
        label = "in" if operator is None else str(position)
        name = "inputs" if operator is None else printable(model.output(operator).name)
        peak = "  <- peak" if profile[position + 1] == max(profile) else ""
        yield f"{label:>4}  {''.join(cells)}  {profile[position + 1]:>9,}  {name}{peak}"


def _columns(model: Model, index: int, width: int) -> tuple[int, int]:
    """The columns that a tensor takes, at least one."""
    tensor = model.tensors[index]
    offset = tensor.offset or 0
    first = offset * width // model.arena_bytes
    return first, min(max(-(-(offset + tensor.nbytes) * width // model.arena_bytes), first + 1), width)
