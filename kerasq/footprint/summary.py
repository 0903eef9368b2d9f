"""What a network is made of, layer by layer: formats, parameters, bytes and multiply-accumulates."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import Any

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, OperatorKind, Tensor
from kerasq.rich import notebook_table, paragraph
from kerasq.text import printable, table

_COLUMNS = ("layer", "operator", "kernel", "output", "shape", "parameters", "bytes", "MACs")
_NUMBERS = ("parameters", "bytes", "MACs")
_UNPLANNED = "planned by conversion, with KERAS_BACKEND=tensorflow"
_TABLE = "table"  # the constant that is no parameter but in a GATHER: values of a function


@dataclasses.dataclass(frozen=True)
class LayerSummary:
    """One operator, by the layer that its kernel belongs to, or which computes its output.

    Attributes:
        layer: Name of the layer.
        kind: What the operator computes; on another backend than TensorFlow, of a layer of no known kind its class.
        kernel: Format of the kernel; empty without one.
        output: Format of the output.
        shape: Shape of the output.
        parameters: Stored values of kernel, multiplier, bias and further constants, without tables of functions.
        bytes: What all of its constants take in the file; what operators share counts for the first one.
        macs: Multiply-accumulates of one example, absent taps included.
        precision: Formats of the factors, `FIXED8 x SIGN`; empty where nothing is multiplied.
    """

    layer: str
    kind: str
    kernel: str
    output: str
    shape: tuple[int, ...]
    parameters: int
    bytes: int
    macs: int
    precision: str


@dataclasses.dataclass(frozen=True)
class Summary:
    """A network, as its file has it. `str(summary)` is the text.

    Attributes:
        layers: One entry for each operator, in the order in which they run.
        file_bytes: Size of the file; `None` where there can be none, and on another backend of Keras than TensorFlow.
        arena_bytes: Working memory of one example; `None` on another backend of Keras than TensorFlow, where none is planned.
        macs: Multiply-accumulates of one example, by the formats of their factors.
    """

    layers: tuple[LayerSummary, ...]
    file_bytes: int | None
    arena_bytes: int | None
    macs: dict[str, int]

    @property
    def parameters(self) -> int:
        """Stored parameters."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def constant_bytes(self) -> int:
        """Bytes of all constants."""
        return sum(layer.bytes for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        totals = {"parameters": self.parameters, "constant_bytes": self.constant_bytes}
        return {**dataclasses.asdict(self), **totals, "layers": [dataclasses.asdict(layer) for layer in self.layers]}

    def to_json(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def to_text(self) -> str:
        """A table of the layers, and the sums."""
        return "\n".join((table(_COLUMNS, self._rows(), right=_NUMBERS), "", *self._sums()))

    def _repr_html_(self) -> str:
        return notebook_table(_COLUMNS, self._rows(), right=_NUMBERS) + paragraph(*self._sums())

    def _rows(self) -> list[list[str]]:
        return [
            [
                printable(layer.layer),
                layer.kind,
                layer.kernel,
                layer.output,
                "x".join(map(str, layer.shape)),
                *(f"{count:,}" if count else "" for count in (layer.parameters, layer.bytes, layer.macs)),
            ]
            for layer in self.layers
        ]

    def _sums(self) -> tuple[str, ...]:
        precisions = ", ".join(f"{count:,} {precision}" for precision, count in self.macs.items()) or "none"
        file = "" if self.file_bytes is None else f"; file: {self.file_bytes:,} bytes"
        arena = _UNPLANNED if self.arena_bytes is None else f"{self.arena_bytes:,} bytes"
        return (
            f"parameters: {self.parameters:,} in {self.constant_bytes:,} bytes{file}",
            f"multiply-accumulates: {precisions}",
            f"arena: {arena}",
        )

    def __str__(self) -> str:
        return self.to_text()


def summarize(model: Model, file_bytes: int | None) -> Summary:
    """The summary of a network whose file takes so many bytes."""
    counted: set[int] = set()
    layers = tuple(_layer(model, operator, counted) for operator in model.operators)
    macs: Counter[str] = Counter()
    for layer in layers:
        if layer.macs:
            macs[layer.precision] += layer.macs
    return Summary(layers, file_bytes, model.arena_bytes, dict(macs.most_common()))


def _layer(model: Model, operator: Operator, counted: set[int]) -> LayerSummary:
    """One row; the constants in `counted` have been counted, and these are added."""
    output = model.output(operator)
    operands = {operand.name: index for operand, index in ops.TABLE[operator.kind].listed(operator) if index != ABSENT}
    constants = {name: index for name, index in operands.items() if model.tensors[index].is_constant}
    new = {name: model.tensors[index] for name, index in constants.items() if index not in counted}
    counted.update(constants.values())
    trained = _TABLE if operator.kind is OperatorKind.GATHER else "kernel"
    kernel = model.tensors[constants[trained]] if trained in constants else None
    macs = ops.macs(model, operator)
    named, suffix = (output.name, "/output") if kernel is None else (kernel.name, "/kernel")
    read = [model.tensors[index] for name, index in operands.items() if name not in constants]
    return LayerSummary(
        named.removesuffix(suffix),
        str(operator.kind),
        "" if kernel is None else str(kernel.format),
        str(output.format),
        output.shape,
        sum(_size(tensor) for name, tensor in new.items() if name != _TABLE or name == trained),
        sum(tensor.nbytes for tensor in new.values()),
        macs,
        " x ".join(tensor.format.family for tensor in [*read[:1], *([] if kernel is None else [kernel])]) if macs else "",
    )


def _size(tensor: Tensor) -> int:
    return 0 if tensor.data is None else tensor.data.size
