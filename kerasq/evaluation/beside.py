"""Two .kq files beside each other: what they store differently, and from where on they compute something else.

Tensors belong together that have one name and one shape. Where a converter scaled activations until they fill their ranges, both
files may hold one value times different factors: those of the second file are compared as if they had the first one's.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kerasq import ops
from kerasq.format.labels import labels_of
from kerasq.format.model import FILLED, OFFSET, Model, Operator, Tensor
from kerasq.inputs import with_batch_axis
from kerasq.interpreter import Interpreter
from kerasq.interpreter.batches import inputs_of
from kerasq.qformat import QFormat

_TOGETHER = 16  # examples whose tensors are in memory at once
_STEPS = 8  # factors to an octave


@dataclasses.dataclass(frozen=True)
class StoredDifference:
    """A constant that differs, or that one file alone has.

    Attributes:
        name: Of the tensor.
        formats: In the first file and in the second; `None` where it is not there.
        nbytes: The same; 0 where it is not there.
        differing: Share of the values that are others; `None` where only one file has it, or its shape differs.
    """

    name: str
    formats: tuple[str | None, str | None]
    nbytes: tuple[int, int]
    differing: float | None


@dataclasses.dataclass(frozen=True)
class OperatorDifference:
    """An attribute that differs in two operators of one kind with one output.

    Attributes:
        name: Of the output.
        attribute: Its name in `kerasq.format.model.Operator`.
        values: In the first file and in the second, as text; of a zero what it is worth, not its stored integer.
    """

    name: str
    attribute: str
    values: tuple[str, str]


@dataclasses.dataclass(frozen=True)
class ComputedDifference:
    """An activation that both have.

    Attributes:
        name: Of the tensor.
        formats: In the first file and in the second.
        differing: Share of its values that are others.
        largest: The largest difference of two values.
        sqnr_db: Power of the first file's values by that of the differences; infinite where there are none.
        scaled: Whether the second file's values have other factors, or another offset, which were taken out.
    """

    name: str
    formats: tuple[str, str]
    differing: float
    largest: float
    sqnr_db: float
    scaled: bool = False


@dataclasses.dataclass(frozen=True)
class Beside:
    """What differs in two networks.

    Attributes:
        examples: How many both computed.
        stored: Constants that differ.
        computed: Activations of both, in the order of the first file; outputs included.
        alone: Names of activations that only the first file has, and only the second.
        outputs: Names of the first file's output tensors.
        constant_bytes: Of all constants of the first file, and of the second.
        arena_bytes: Of both.
        same_class: Share of the examples in which the largest value of the first output is at the same place; of its labels, if
            it is an argmax, that are the same; `None` if there are not several.
        operators: Attributes of operators that differ. (Clamps, which do wherever formats do, are not compared.)
    """

    examples: int
    stored: tuple[StoredDifference, ...]
    computed: tuple[ComputedDifference, ...]
    alone: tuple[tuple[str, ...], tuple[str, ...]]
    outputs: tuple[str, ...]
    constant_bytes: tuple[int, int]
    arena_bytes: tuple[int, int]
    same_class: float | None
    operators: tuple[OperatorDifference, ...] = ()

    @property
    def first(self) -> ComputedDifference | None:
        """The first activation with other values."""
        return next((entry for entry in self.computed if entry.differing), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, which has no infinity: such a ratio is null."""
        facts = dataclasses.asdict(self)
        for entry in facts["computed"]:
            entry["sqnr_db"] = entry["sqnr_db"] if math.isfinite(entry["sqnr_db"]) else None
        return facts | {"first": self.first and self.first.name}


def beside(first: Model, second: Model, x: Any) -> Beside:
    """Compares two networks.

    Args:
        first, second: Networks with the same inputs, but for their formats.
        x: Examples, as `Interpreter.predict` takes them.

    Raises:
        ValueError: Their inputs differ, or the examples don't fit them.
    """
    inputs = [[entry.shape for entry in inputs_of(model)] for model in (first, second)]
    if inputs[0] != inputs[1]:
        raise ValueError(f"their inputs differ: {inputs[0]} and {inputs[1]}")
    arrays, _ = with_batch_axis(x if isinstance(x, list) else [x], inputs_of(first))
    pairs = _pairs(first, second)
    ends = {model.tensors[index].name for model in (first, second) for index in (*model.inputs, *model.outputs)}
    scaled, shifted = (set() if key not in first.metadata | second.metadata else pairs.keys() - ends for key in (FILLED, OFFSET))
    sums = {name: _Sums(t.format, other.format, name in scaled, name in shifted) for name, (t, other) in pairs.items()}
    engines, outputs = [Interpreter(model_content=model) for model in (first, second)], ([], [])  # type: ignore[var-annotated]
    for start in range(0, len(arrays[0]), _TOGETHER):
        batch = [array[start : start + _TOGETHER] for array in arrays]
        values = [engine.tensors(batch) for engine in engines]
        for name, total in sums.items():
            total.add(*(tensors[name] for tensors in values))
        for model, tensors, classes in zip((first, second), values, outputs, strict=True):
            classes.append(_classes(model, tensors))
    names = [{tensor.name for tensor in model.activations()} - set(pairs) for model in (first, second)]
    several = all(math.prod(m.tensors[m.outputs[0]].shape) > 1 or m.outputs[0] in labels_of(m) for m in (first, second))
    return Beside(
        examples=len(arrays[0]),
        stored=tuple(_stored(first, second)),
        computed=tuple(total.difference(name) for name, total in sums.items()),
        alone=(tuple(sorted(names[0])), tuple(sorted(names[1]))),
        outputs=tuple(first.tensors[index].name for index in first.outputs),
        constant_bytes=tuple(sum(t.nbytes for t in model.constants()) for model in (first, second)),  # type: ignore[arg-type]
        arena_bytes=(first.arena_bytes, second.arena_bytes),
        same_class=float(np.mean(np.concatenate(outputs[0]) == np.concatenate(outputs[1]))) if several else None,
        operators=tuple(_operators(first, second)),
    )


def _classes(model: Model, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Of each example the place of the largest value of the first output; or its labels, where it is some."""
    (index, *_), labels = model.outputs, labels_of(model)
    values = tensors[model.tensors[index].name]
    rows = values.reshape(len(values), -1)
    return rows if index in labels else rows.argmax(axis=1)[:, None]


def _pairs(first: Model, second: Model) -> dict[str, tuple[Tensor, Tensor]]:
    others = {tensor.name: tensor for tensor in second.activations()}
    indices = [*first.inputs, *(operator.outputs[0] for operator in first.operators)]
    tensors = (first.tensors[index] for index in indices)
    return {
        tensor.name: (tensor, others[tensor.name])
        for tensor in tensors
        if tensor.name in others and others[tensor.name].shape == tensor.shape
    }


@dataclasses.dataclass
class _Sums:
    """Of one activation in both files, over all examples."""

    first: QFormat
    second: QFormat
    scaled: bool  # maybe by factors, which the first values tell
    shifted: bool  # maybe with another offset
    factors: np.ndarray = dataclasses.field(default_factory=lambda: np.ones(1))
    offsets: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(1))
    count: int = 0
    differing: int = 0
    largest: float = 0.0
    signal: float = 0.0
    noise: float = 0.0

    def add(self, stored: np.ndarray, other: np.ndarray) -> None:
        values, others = (form.dequantize(x, np.float64) for form, x in ((self.first, stored), (self.second, other)))
        if self.scaled and not self.signal:
            self.factors, self.offsets = _between(values, others, self.shifted)
        distance = np.abs(values - (others - self.offsets) / self.factors)
        self.count += distance.size
        self.differing += int(np.count_nonzero(distance))
        self.largest = max(self.largest, float(distance.max()))
        self.signal += float(np.sum(values**2))
        self.noise += float(np.sum(distance**2))

    def difference(self, name: str) -> ComputedDifference:
        ratio = math.inf if self.noise == 0 else 10 * math.log10(self.signal / self.noise) if self.signal else -math.inf
        formats = (str(self.first), str(self.second))
        scaled = bool(np.any(self.factors != 1) or np.any(self.offsets))
        return ComputedDifference(name, formats, self.differing / self.count, self.largest, ratio, scaled)


def _between(values: np.ndarray, others: np.ndarray, shifted: bool) -> tuple[np.ndarray, np.ndarray]:
    """The factor and the offset that `others` have, or those of each channel: parts of a concatenation may differ in them."""
    channels = values.shape[-1]
    whole = _affine(values.ravel(), others.ravel(), shifted)
    single = _affine(values.reshape(-1, channels), others.reshape(-1, channels), shifted)
    noises = [np.sum((values - (others - offsets) / factors) ** 2) for factors, offsets in (whole, single)]
    return single if noises[1] < noises[0] / 4 else whole


def _affine(values: np.ndarray, others: np.ndarray, shifted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Factors and offsets, down the first axis."""
    if not shifted:
        factors = _nearest(values, others)
        return factors, np.zeros_like(factors)
    means = values.mean(axis=0), others.mean(axis=0)
    factors = _nearest(values - means[0], others - means[1])
    return factors, means[1] - factors * means[0]


def _nearest(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Down the first axis, the power of 2^(1 / _STEPS) that `others` are nearest to `values` with; 1 where nothing tells it."""
    power, product = np.sum(values**2, axis=0), np.sum(values * others, axis=0)
    told = (power > 0) & (product > 0)
    ratio = np.where(told, product, 1.0) / np.where(told, power, 1.0)
    return np.exp2(np.round(_STEPS * np.log2(ratio)) / _STEPS)


def _operators(first: Model, second: Model) -> Iterator[OperatorDifference]:
    others = {second.output(operator).name: operator for operator in second.operators}
    for operator in first.operators:
        name = first.output(operator).name
        other = others.get(name)
        if other is None or other.kind is not operator.kind:
            continue
        here, there = _attributes(first, operator), _attributes(second, other)
        yield from (OperatorDifference(name, key, (text, there[key])) for key, text in here.items() if text != there[key])


def _attributes(model: Model, operator: Operator) -> dict[str, str]:
    """Those that depend on no format, as text."""
    names = (name for name in ops.TABLE[operator.kind].attributes if name != "total_bits")
    texts = {name: str(getattr(operator, name)) for name in names}
    if operator.zero:
        texts["zero"] = f"{operator.zero * model.tensors[ops.TABLE[operator.kind].first(operator)].format.step:g}"
    return texts


def _stored(first: Model, second: Model) -> list[StoredDifference]:
    tensors = [{tensor.name: tensor for tensor in model.constants()} for model in (first, second)]
    found = []
    for name in dict.fromkeys([*tensors[0], *tensors[1]]):
        pair = tensors[0].get(name), tensors[1].get(name)
        differing = None
        if pair[0] is not None and pair[1] is not None and pair[0].shape == pair[1].shape:
            differing = float(np.mean(pair[0].values != pair[1].values))
        if differing != 0.0 or len({str(tensor and tensor.format) for tensor in pair}) > 1:
            formats = tuple(None if tensor is None else str(tensor.format) for tensor in pair)
            sizes = tuple(0 if tensor is None else tensor.nbytes for tensor in pair)
            found.append(StoredDifference(name, formats, sizes, differing))  # type: ignore[arg-type]
    return found
