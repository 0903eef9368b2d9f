"""The network as a picture (SVG): a box for each operator, from top to bottom in the order in which they run.

The next box reads what the one above it wrote; what is read further down goes there on the right, several lines side by side.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterator

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, Tensor
from kerasq.text import printable

_WIDTH, _HEIGHT, _GAP, _MARGIN = 330, 58, 22, 16  # of a box, and between boxes, in pixels
_LANE = 14  # between lines on the right
_LETTERS = 46  # that fit a box
_STYLE = """
  svg { background: #fff; font: 11px ui-monospace, Menlo, Consolas, monospace; }
  rect { fill: #f4f6f8; stroke: #8a97a5; } rect.end { fill: #e4eefb; } rect.weights { fill: #fbf3e0; }
  text { fill: #1c2733; } text.kind { font-weight: bold; } path { fill: none; stroke: #8a97a5; stroke-width: 1.5; }
  marker path { fill: #8a97a5; stroke: none; }
  @media (prefers-color-scheme: dark) {
    svg { background: #14191f; } rect { fill: #222b35; } rect.end { fill: #1d3350; } rect.weights { fill: #453a1e; }
    text { fill: #dfe6ee; }
  }
"""
_ARROW = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 L8 4 L0 8 z"/></marker>'
)


@dataclasses.dataclass(frozen=True)
class _Box:
    kind: str
    lines: tuple[str, str]
    style: str


@dataclasses.dataclass(frozen=True)
class _Edge:
    """From one box to another further down."""

    above: int
    below: int
    label: str


def graph(model: Model) -> str:
    """An SVG document: operators with window, kernel and output, formats and bytes; the tensors between them."""
    boxes, edges = _boxes(model), [*_edges(model)]
    lanes = _lanes([edge for edge in edges if edge.below > edge.above + 1])
    width = 2 * _MARGIN + _WIDTH + _LANE * (max(lanes.values(), default=-1) + 2)
    height = 2 * _MARGIN + len(boxes) * (_HEIGHT + _GAP) - _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<style>{_STYLE}</style><defs>{_ARROW}</defs>",
        *(_line(edge, lanes.get(edge)) for edge in edges),
        *(_drawn(position, box) for position, box in enumerate(boxes)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _boxes(model: Model) -> list[_Box]:
    inputs = [_Box("input", (name, _described(model.tensors[index])), "end") for name, index in model.named_inputs().items()]
    operators = [_box(model, operator) for operator in model.operators]
    outputs = [_Box("output", (name, _described(model.tensors[index])), "end") for name, index in model.named_outputs().items()]
    return [*inputs, *operators, *outputs]


def _box(model: Model, operator: Operator) -> _Box:
    spec, output = ops.TABLE[operator.kind], model.output(operator)
    height, width = spec.window(model, operator)
    words = [str(operator.kind)]
    if height * width > 0:
        words.append(f"{height}x{width}")
    if max(operator.strides) > 1:
        words.append("stride " + "x".join(map(str, operator.strides)))
    if operator.groups > 1:
        words.append(f"{operator.groups} groups")
    constants = [tensor for tensor in model.operands(operator) if tensor is not None and tensor.is_constant]
    if constants:
        words.append(f"{constants[0].format} {sum(tensor.nbytes for tensor in constants):,} B")
    return _Box(" ".join(words), (output.name, _described(output)), "weights" if constants else "")


def _described(tensor: Tensor) -> str:
    return f"{'x'.join(map(str, tensor.shape[1:]))}  {tensor.format}  {tensor.nbytes:,} B"


def _edges(model: Model) -> Iterator[_Edge]:
    made = {index: position for position, index in enumerate(model.inputs)}
    for position, operator in enumerate(model.operators, len(model.inputs)):
        for index in dict.fromkeys(operator.inputs):
            if index != ABSENT and not model.tensors[index].is_constant:
                yield _Edge(made[index], position, model.tensors[index].name)
        made[operator.outputs[0]] = position
    for position, index in enumerate(model.outputs, len(model.inputs) + len(model.operators)):
        yield _Edge(made[index], position, model.tensors[index].name)


def _lanes(edges: list[_Edge]) -> dict[_Edge, int]:
    """A lane for each line on the right; none has two at one height."""
    lanes: dict[_Edge, int] = {}
    ends: list[int] = []
    for edge in sorted(edges, key=lambda edge: (edge.above, edge.below)):
        lane = next((lane for lane, end in enumerate(ends) if end <= edge.above), len(ends))
        ends[lane:] = [edge.below, *ends[lane + 1 :]]
        lanes[edge] = lane
    return lanes


def _line(edge: _Edge, lane: int | None) -> str:
    top, bottom = _MARGIN + edge.above * (_HEIGHT + _GAP), _MARGIN + edge.below * (_HEIGHT + _GAP)
    if lane is None:
        x = _MARGIN + _WIDTH // 2
        path = f"M{x} {top + _HEIGHT} V{bottom}"
    else:
        start, end = top + 2 * _HEIGHT // 3, bottom + _HEIGHT // 3
        path = f"M{_MARGIN + _WIDTH} {start} H{_MARGIN + _WIDTH + _LANE * (lane + 1)} V{end} H{_MARGIN + _WIDTH}"
    return f'<path d="{path}" marker-end="url(#arrow)"><title>{_escaped(edge.label)}</title></path>'


def _drawn(position: int, box: _Box) -> str:
    y = _MARGIN + position * (_HEIGHT + _GAP)
    texts = "".join(
        f'<text class="{name}" x="{_MARGIN + 8}" y="{y + 17 + 16 * row}">{_escaped(_short(text))}</text>'
        for row, (name, text) in enumerate(zip(("kind", "name", "size"), (box.kind, *box.lines), strict=True))
    )
    title = f"<title>{_escaped(box.lines[0])}</title>"
    style = f' class="{box.style}"' if box.style else ""
    return f'<g>{title}<rect{style} x="{_MARGIN}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="5"/>{texts}</g>'


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"


def _escaped(text: str) -> str:
    return html.escape(printable(text))
