"""From the bytes of a .kq file to a Model that nobody has verified yet. Nothing in the file is trusted.

Three gates, one after the other: structure.py (are the bytes the tables of the schema?), this module (do codes, types and
packed data mean something?), kerasq/verification/verifier.py (is it a network that runs in bounds?). The last two report
everything they find. Whoever asks this module has to see to the third gate: `kerasq.format.load` and `loads` do. The rules of
this one:

* version lies in MIN_VERSION..FORMAT_VERSION; otherwise only that is reported.
* Type and operator kind are members of their enums; frac_bits lies in -32..63 and is 0 for FLOAT32 and SIGN.
* Layout is a member of its enum; only a tensor with data has another one than ROWS, and one that its format and shape allow.
* A tensor with data has exactly as many bytes as its format and shape take, bits after the last value are zero, and its
  offset is 0.
* An operator without a Window has that table's defaults; a Clamp counts as min and max, or min_float and max_float where the
  operator's first output is FLOAT32; the other two are 0.
* Metadata keys differ from each other.
* An operator without outputs (since version 3) computes the first activation behind, in the order of the tensors, the one that
  the operator before it computes; the first operator, the one behind the network's last input.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kerasq.format.errors import ModelError
from kerasq.format.model import FORMAT_VERSION, Layout, Model, Operator, OperatorKind, SelfTest, Tensor
from kerasq.format.packing import pairs_problem, unpack, unpaired
from kerasq.format.schema import MAX_FILE_BYTES, TYPES
from kerasq.format.shapes import shape_problems
from kerasq.format.structure import parse
from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS, QFormat
from kerasq.text import represented

MIN_VERSION = 1
_FAMILIES = tuple(QFormat.parse(name) for name in TYPES)
_KINDS = tuple(OperatorKind)
_LAYOUTS = tuple(Layout)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The contents of a file, no more of them than show that it is too large.

    Raises:
        OSError: The file can't be read.
    """
    with Path(path).open("rb") as file:
        return file.read(MAX_FILE_BYTES + 1)


def unverified(data: bytes) -> Model:
    """The model in the bytes of a file, without the last gate; not for use outside of kerasq.

    `kerasq.verification.files.loads` sends what this returns through the verifier. The native engine does without, for files that
    the runtime in C has accepted, whose verifier has the same rules.

    Raises:
        ModelError: The bytes don't pass the first two gates.
    """
    content = data if isinstance(data, bytes) else bytes(memoryview(data))  # a copy nobody else can change
    fields = parse(content)
    _imply_outputs(fields)
    if not MIN_VERSION <= fields["version"] <= FORMAT_VERSION:
        raise ModelError([f"version {fields['version']} of the format: this is a reader of {MIN_VERSION}..{FORMAT_VERSION}"])
    damage = [*_code_problems(fields)]
    if damage:
        raise ModelError(damage)
    tensors, damage = _tensors(fields["tensors"])
    if damage:
        raise ModelError(damage)
    return Model(
        tensors=tensors,
        operators=tuple(_operator(operator, tensors) for operator in fields["operators"]),
        inputs=tuple(fields["inputs"]),
        outputs=tuple(fields["outputs"]),
        arena_bytes=fields["arena_bytes"],
        arena_alignment=fields["arena_alignment"],
        metadata={entry["key"]: entry["value"] for entry in fields["metadata"]},
        test=_test(fields["test"]),
        input_names=tuple(fields["input_names"]),
        output_names=tuple(fields["output_names"]),
    )


def recorded_version(content: bytes) -> int:
    """The version of the format that a sound file records."""
    return int(parse(content)["version"])


def _imply_outputs(fields: dict[str, Any]) -> None:
    """Gives operators without outputs theirs: the first activation behind the one before, or behind the last input."""
    tensors = fields["tensors"]
    behind, following = [0] * len(tensors), len(tensors)  # the next activation behind each tensor: one walk for all operators
    for index in reversed(range(len(tensors))):
        behind[index] = following
        if tensors[index]["data"] is None:
            following = index
    before = fields["inputs"][-1] if fields["inputs"] else len(tensors)
    for operator in fields["operators"]:
        if not operator["outputs"]:
            operator["outputs"] = [behind[before] if 0 <= before < len(tensors) else len(tensors)]
        before = operator["outputs"][0]


def _code_problems(fields: dict[str, Any]) -> Iterator[str]:
    """Numbers that stand for nothing."""
    for index, tensor in enumerate(fields["tensors"]):
        label = f"tensor {index} {represented(tensor['name'])}"
        if tensor["type"] >= len(TYPES):
            yield f"{label}: there are types 0..{len(TYPES) - 1}. Received: type={tensor['type']}"
            continue
        fixed = _FAMILIES[tensor["type"]].is_fixed
        low, high = (MIN_FRAC_BITS, MAX_FRAC_BITS) if fixed else (0, 0)
        if not low <= tensor["frac_bits"] <= high:
            yield f"{label}: frac_bits of {TYPES[tensor['type']]} lie in {low}..{high}. Received: frac_bits={tensor['frac_bits']}"
        if tensor["layout"] >= len(_LAYOUTS):
            yield f"{label}: there are layouts 0..{len(_LAYOUTS) - 1}. Received: layout={tensor['layout']}"
        elif tensor["layout"] and tensor["data"] is None:
            yield f"{label}: only constants have a layout. Received: layout={tensor['layout']}"
    for position, operator in enumerate(fields["operators"]):
        if operator["kind"] >= len(_KINDS):
            yield f"operator {position}: there are kinds 0..{len(_KINDS) - 1}. Received: kind={operator['kind']}"
        yield from (f"operator {position}: {text}" for text in _clamp_problems(operator, fields["tensors"]))
    keys = [entry["key"] for entry in fields["metadata"]]
    if len(set(keys)) < len(keys):
        yield "a metadata key occurs twice"


def _clamp_problems(operator: dict[str, Any], tensors: list[dict[str, Any]]) -> Iterator[str]:
    """Limits of the kind that the output does not have."""
    if operator["clamp"] is None:
        return
    outputs = operator["outputs"]
    is_float = outputs and 0 <= outputs[0] < len(tensors) and tensors[outputs[0]]["type"] == TYPES.index("FLOAT32")
    for name in ("min", "max") if is_float else ("min_float", "max_float"):
        value = operator["clamp"][name]
        if value != 0 or math.copysign(1, value) < 0:  # -0.0 is stored, too
            yield f"a clamp's {name} is 0 where the output is {'FLOAT32' if is_float else 'fixed'}. Received: {name}={value}"


def _tensors(tables: list[dict[str, Any]]) -> tuple[tuple[Tensor, ...], list[str]]:
    """The tensors, and what is wrong with the data of those that are left out."""
    tensors, damage = [], []
    for index, table in enumerate(tables):
        shape = tuple(table["shape"])
        format = _format(table["type"], table["frac_bits"])
        data, layout = None, _LAYOUTS[table["layout"]]
        offset = table["offset"] if table["data"] is None or table["offset"] else None
        try:
            if table["data"] is not None:
                data = _unpack(table["data"], format, shape, layout)
        except ValueError as error:
            damage.append(f"tensor {index} {represented(table['name'])}: {error}")
        tensors.append(Tensor(table["name"], shape, format, data, offset, layout))
    return tuple(tensors), damage


@functools.cache  # a network has many tensors, and they have few formats
def _format(type_code: int, frac_bits: int) -> QFormat:
    family = _FAMILIES[type_code]
    return family.with_frac_bits(frac_bits) if family.is_fixed else family


def _unpack(data: memoryview, format: QFormat, shape: tuple[int, ...], layout: Layout) -> np.ndarray:
    for problem in shape_problems(shape):
        raise ValueError(problem)
    values = unpack(data, format, shape)
    if layout == Layout.ROWS:
        return values
    if unfit := pairs_problem(format, shape):
        raise ValueError(unfit)
    rows = unpaired(values)
    rows.setflags(write=False)
    return rows


def _operator(table: dict[str, Any], tensors: tuple[Tensor, ...]) -> Operator:
    operator = Operator(
        kind=_KINDS[table["kind"]],
        inputs=tuple(table["inputs"]),
        outputs=tuple(table["outputs"]),
        clamp=_clamp(table, tensors),
        accumulator_bits=table["accumulator_bits"],
        total_bits=table["total_bits"],
        scratch=(table["scratch_offset"], table["scratch_bytes"]),
    )
    window = table["window"]
    if window is None:
        return operator
    return operator.replace(
        strides=(window["stride_height"], window["stride_width"]),
        dilations=(window["dilation_height"], window["dilation_width"]),
        padding=tuple(window[f"padding_{side}"] for side in ("top", "bottom", "left", "right")),
        window=(window["height"], window["width"]),
        groups=window["groups"],
        centered=window["centered"],
        zero=window["zero"],
    )


def _test(table: dict[str, Any] | None) -> SelfTest | None:
    return None if table is None else SelfTest(bytes(table["input"] or b""), tuple(table["checksums"]))


def _clamp(table: dict[str, Any], tensors: tuple[Tensor, ...]) -> tuple[float, float] | None:
    clamp, outputs = table["clamp"], table["outputs"]
    if clamp is None:
        return None
    if outputs and 0 <= outputs[0] < len(tensors) and tensors[outputs[0]].format.is_float:
        return clamp["min_float"], clamp["max_float"]
    return clamp["min"], clamp["max"]
