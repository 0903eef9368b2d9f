"""Recognises normalization by an example's own statistics, as Keras' layers leave it in a graph, and as people write it.

What ends one is a product with, or a division by, a root: of a mean or sum of squares, or of a variance, perhaps with an epsilon.
LayerNormalization and GroupNormalization distribute it, m being the reciprocal root times gamma: x m + (beta - mean m).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Constant = Callable[[Any], np.ndarray | None]
_TRANSPARENT = ("Identity", "StopGradient", "PreventGradient")
_RESHAPES = ("Reshape", "ExpandDims", "Squeeze")
_NO_LIMIT = 1e-6  # of a sum of squares: below it, what keeps a division from one by zero is nothing


@dataclasses.dataclass(frozen=True)
class Statistic:
    """`factor * (sum((x - center)**2) over the axes / count + epsilon)`; the center is the mean or 0."""

    x: Any
    axes: tuple[int, ...]
    centered: bool
    epsilon: float = 0.0
    factor: float = 1.0


@dataclasses.dataclass(frozen=True)
class Normalization:
    """`source` normalized over axes, times a scale plus an offset, which broadcast; `inner` are the operations in between."""

    result: Any
    source: Any
    axes: tuple[int, ...]
    centered: bool
    epsilon: float
    scale: np.ndarray
    offset: np.ndarray
    inner: frozenset[Any]


def find_normalizations(operations: list[Any], constant: Constant) -> dict[Any, Normalization]:
    """All of `operations`, by the operation that yields the result; of one inside of another, the outer."""
    matcher = _Matcher(constant)
    matches = {operation: found for operation in operations if (found := matcher.match(operation)) is not None}
    inside = {operation for found in matches.values() for operation in found.inner}
    return {operation: found for operation, found in matches.items() if operation not in inside}


@dataclasses.dataclass(frozen=True)
class _Matcher:
    constant: Constant

    def match(self, operation: Any) -> Normalization | None:
        """The normalization that ends in `operation`."""
        if operation.type in ("Add", "AddV2", "Sub"):
            return self._distributed(operation)
        if operation.type == "Mul":
            pairs = [(a, self._reciprocal(b)) for a, b in _both(operation)]
        elif operation.type == "RealDiv":
            pairs = [(operation.inputs[0], self._root(operation.inputs[1]))]
        else:
            return None
        for x, divided in pairs:
            if divided is not None:
                statistic, scale = divided
                numerator, factor = self._without_factor(_strip(x))
                if self._is_numerator(numerator, statistic):
                    return self._made(operation, statistic, scale * factor, np.zeros(()))
        return None

    def _made(self, operation: Any, of: Statistic, scale: np.ndarray, offset: np.ndarray) -> Normalization:
        result = operation.outputs[0]
        scale = scale / math.sqrt(of.factor)
        inner = frozenset(_only_inside(operation, of.x.name))
        return Normalization(result, of.x, of.axes, of.centered, of.epsilon, scale, offset, inner)

    def _without_factor(self, tensor: Any) -> tuple[Any, np.ndarray]:
        """What a tensor is times a constant, and that."""
        if tensor.op.type == "Mul":
            for factor, x in _both(tensor.op):
                value = self.constant(factor)
                if value is not None and x.shape == tensor.shape:
                    return _strip(x), np.asarray(value, np.float64)
        return tensor, np.ones(())

    def _is_numerator(self, x: Any, of: Statistic) -> bool:
        """Whether a tensor is what the statistic is of: x, or x less its mean."""
        if not of.centered:
            return x.name == of.x.name
        return x.op.type == "Sub" and _strip(x.op.inputs[0]).name == of.x.name and self._is_mean(x.op.inputs[1], of)

    def _distributed(self, operation: Any) -> Normalization | None:
        """x m + (beta - mean m), or x m - mean m, with m the reciprocal root times gamma."""
        for product, rest in _both(operation) if operation.type != "Sub" else [tuple(operation.inputs)]:
            product = _strip(product)
            if product.op.type != "Mul" or self.constant(product) is not None:
                continue
            for x, m in _both(product.op):
                divided = self._reciprocal(m)
                if divided is None or not divided[0].centered or _strip(x).name != divided[0].x.name:
                    continue
                offset = self._offset(rest, m, divided[0], negative=operation.type == "Sub")
                if offset is not None:
                    return self._made(operation, *divided, offset)
        return None

    def _offset(self, rest: Any, m: Any, of: Statistic, *, negative: bool) -> np.ndarray | None:
        """beta of `beta - mean m` (negated where it is subtracted)."""
        rest = _strip(rest)
        if self._is_shift(rest, m, of, negated=not negative):
            return np.zeros(())
        if negative or rest.op.type not in ("Add", "AddV2", "Sub"):
            return None
        if rest.op.type == "Sub":
            beta, shift = rest.op.inputs
            value = self.constant(beta)
            return value if value is not None and self._is_shift(_strip(shift), m, of, negated=False) else None
        for beta, shift in _both(rest.op):
            value = self.constant(beta)
            if value is not None and self._is_shift(_strip(shift), m, of, negated=True):
                return value
        return None

    def _is_shift(self, tensor: Any, m: Any, of: Statistic, *, negated: bool) -> bool:
        """Whether a tensor is mean m, or its negative."""
        if negated and tensor.op.type == "Neg":
            return self._is_shift(_strip(tensor.op.inputs[0]), m, of, negated=False)
        if tensor.op.type != "Mul":
            return False
        for mean, other in _both(tensor.op):
            mean = _strip(mean)
            if _strip(other).name == _strip(m).name:
                if negated and mean.op.type == "Neg":
                    return self._is_mean(mean.op.inputs[0], of)
                return not negated and self._is_mean(mean, of)
        return False

    def _is_mean(self, tensor: Any, of: Statistic) -> bool:
        return self._reduced(tensor, ("Mean",)) == (of.x.name, of.axes)

    def _reduced(self, tensor: Any, kinds: tuple[str, ...]) -> tuple[str, tuple[int, ...]] | None:
        """Name of what is reduced, and the axes, each of which the tensor still has with size 1."""
        kept = tensor
        while tensor.op.type in (*_TRANSPARENT, *_RESHAPES):
            tensor = tensor.op.inputs[0]
        if tensor.op.type not in kinds or self.constant(tensor) is not None:
            return None
        x, axes_tensor = tensor.op.inputs
        axes = self.constant(axes_tensor)
        if axes is None or x.shape.rank is None or not x.shape.is_fully_defined():
            return None
        taken = tuple(sorted({int(axis) % x.shape.rank for axis in np.reshape(axes, -1)}))
        shape = [1 if axis in taken else size for axis, size in enumerate(x.shape.as_list())]
        fits = kept.shape.is_fully_defined() and kept.shape.as_list() == shape
        return (_strip(x).name, taken) if fits and taken and 0 not in taken else None

    def _reciprocal(self, tensor: Any) -> tuple[Statistic, np.ndarray] | None:
        """Of what a tensor is the reciprocal root, times which constant."""
        tensor = _strip(tensor)
        operation = tensor.op
        if self.constant(tensor) is not None:
            return None
        if operation.type == "Rsqrt":
            statistic = self._statistic(operation.inputs[0])
            return None if statistic is None else (statistic, np.ones(()))
        if operation.type == "Reciprocal":
            return self._root(operation.inputs[0])
        if operation.type == "Minimum":  # of a reciprocal: what it limits is a root of almost nothing
            for limited, limit in _both(operation):
                value = self._scalar(limit)
                if value is not None and value >= 1 / math.sqrt(_NO_LIMIT):
                    return self._reciprocal(limited)
        if operation.type == "RealDiv" and (over := self.constant(operation.inputs[0])) is not None:
            divided = self._root(operation.inputs[1])
            return None if divided is None else (divided[0], divided[1] * np.asarray(over, np.float64))
        if operation.type == "Mul":
            for factor, other in _both(operation):
                scale = self.constant(factor)
                if scale is not None and (divided := self._reciprocal(other)) is not None:
                    return divided[0], divided[1] * np.asarray(scale, np.float64)
        return None

    def _root(self, tensor: Any) -> tuple[Statistic, np.ndarray] | None:
        """Of what a tensor, that is divided by, is the root."""
        tensor = _strip(tensor)
        if tensor.op.type == "Maximum":
            for limited, limit in _both(tensor.op):
                value = self._scalar(limit)
                if value is not None and 0 <= value <= math.sqrt(_NO_LIMIT):
                    return self._root(limited)
        if tensor.op.type != "Sqrt":
            return None
        statistic = self._statistic(tensor.op.inputs[0])
        return None if statistic is None else (statistic, np.ones(()))

    def _statistic(self, tensor: Any) -> Statistic | None:
        tensor = _strip(tensor)
        operation = tensor.op
        if operation.type in ("Add", "AddV2", "Maximum"):
            for inner, constant in _both(operation):
                value, statistic = self._scalar(constant), self._statistic(inner) if self.constant(inner) is None else None
                if value is None or statistic is None or value < 0:
                    continue
                if operation.type == "Maximum":
                    return statistic if value <= _NO_LIMIT else None
                return dataclasses.replace(statistic, epsilon=statistic.epsilon + value / statistic.factor)
            return None
        if operation.type == "Sub":
            return self._of_squares(*operation.inputs)
        squares = self._reduced(tensor, ("Mean", "Sum"))
        if squares is None:
            return None
        while operation.type in (*_TRANSPARENT, *_RESHAPES):
            operation = operation.inputs[0].op
        found = self._squared(operation.inputs[0], squares[1])
        if found is None:
            return None
        count = math.prod(found[0].shape.as_list()[axis] for axis in squares[1])
        return Statistic(found[0], squares[1], found[1], factor=float(count) if operation.type == "Sum" else 1.0)

    def _squared(self, tensor: Any, axes: tuple[int, ...]) -> tuple[Any, bool] | None:
        """x of squares of x, or of x less its mean over the axes, and whether that is subtracted."""
        operation = _strip(tensor).op
        if operation.type == "SquaredDifference":
            for x, mean in _both(operation):
                if self._is_mean(mean, Statistic(_strip(x), axes, True)):
                    return _strip(x), True
            return None
        if operation.type == "Mul" and _strip(operation.inputs[0]).name != _strip(operation.inputs[1]).name:
            return None
        if operation.type not in ("Square", "Mul") or self.constant(operation.outputs[0]) is not None:
            return None
        root = _strip(operation.inputs[0])
        if root.op.type == "Sub":
            x, mean = root.op.inputs
            if self._is_mean(mean, Statistic(_strip(x), axes, True)):
                return _strip(x), True
        return root, False

    def _of_squares(self, squares: Any, square: Any) -> Statistic | None:
        """The variance as the mean of squares less the square of the mean."""
        statistic = self._statistic(squares)
        if statistic is None or statistic.centered or statistic.epsilon or statistic.factor != 1:
            return None
        mean = _strip(square).op
        if mean.type != "Square" or not self._is_mean(mean.inputs[0], statistic):
            return None
        return dataclasses.replace(statistic, centered=True)

    def _scalar(self, tensor: Any) -> float | None:
        value = self.constant(tensor)
        return float(np.reshape(value, ())) if value is not None and np.size(value) == 1 else None


def _both(operation: Any) -> list[tuple[Any, Any]]:
    """The two inputs of an operation, in either order."""
    a, b = operation.inputs
    return [(a, b), (b, a)]


def _strip(tensor: Any) -> Any:
    while tensor.op.type in _TRANSPARENT:
        tensor = tensor.op.inputs[0]
    return tensor


def _only_inside(operation: Any, source: str) -> Iterator[Any]:
    """Operations from `operation` back to the tensor `source` whose results nobody outside of these reads."""
    inside, waiting = {operation}, [tensor.op for tensor in operation.inputs if tensor.name != source]
    while waiting:
        current = waiting.pop()
        if current in inside:
            continue
        inside.add(current)
        waiting += [tensor.op for tensor in current.inputs if tensor.name != source]
    while read := {op for op in inside - {operation} if any(not inside.issuperset(t.consumers()) for t in op.outputs)}:
        inside -= read
    yield from inside - {operation}
