"""Labels: the place of the largest or smallest value along an axis, where the network shows it or a look-up reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from kerasq import ops
from kerasq.format import OperatorKind
from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.chain import Chain
from kerasq_convert.frontend.embedding import counted_from_the_end, is_embedding
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.graph import ArgMax

MOST_CLASSES = ops.TABLE[OperatorKind.ARGMAX].limits["max_classes"]
_PASSED_ON = ("Identity", "IdentityN", "StopGradient", "Cast", "Reshape", "Squeeze", "ExpandDims", "Shape", "NoOp")


def argmax(importer: Importer, operation: Any) -> None:
    """ArgMax and ArgMin, over any axis but the batch: the smallest is the largest of what is negated."""
    x, axis_tensor = operation.inputs
    axis = importer.constant(axis_tensor)
    shape = shape_of(x)
    if axis is None or int(axis) % len(shape) == 0:
        raise UnsupportedError("an argmax over the batch is not supported: give the axis of the classes")
    readers = {reader.type for reader in _other_readers(importer, operation.outputs[0])}
    if readers:
        raise UnsupportedError(
            "an argmax whose labels are computed with is not supported: end the network with it, or let an Embedding read it"
        )
    last = int(axis) % len(shape)
    if shape[last] > MOST_CLASSES:
        raise UnsupportedError(f"an argmax of more than {MOST_CLASSES:,} classes is not supported: Reshape them into two axes")
    chain = Chain.of(importer, operation, x)
    if operation.type == "ArgMin":
        chain.scale(importer, -1.0)
    chain.permute([*(place for place in range(len(shape)) if place != last), last])
    chain.add(ArgMax, chain.shape[:-1], classes=shape[last])
    chain.finish(importer, operation.outputs[0].name, shape_of(operation.outputs[0]))


@dataclasses.dataclass(frozen=True)
class NegativeZeros:
    """What Keras puts before an argmax to tell -0 from 0, which fixed-point values do not: where(x is -0, -tiny, x).

    Attributes:
        sources: x by the selection.
        inner: What computes the conditions.
    """

    sources: dict[Any, Any]
    inner: set[Any]

    @classmethod
    def among(cls, operations: Iterable[Any]) -> NegativeZeros:
        """Those before the argmaxes of a graph."""
        sources: dict[Any, Any] = {}
        inner: set[Any] = set()
        for operation in operations:
            select = operation.inputs[0].op if operation.type in ("ArgMax", "ArgMin") else None
            if select is not None and _is_of_zeros(select):
                condition, _, sources[select] = select.inputs
                inner |= {*_leading_to(condition, sources[select])}
        return cls(sources, inner)


def _is_of_zeros(select: Any) -> bool:
    """Whether an operation selects where its last input is a zero, and something else beside."""
    if select.type != "SelectV2" or select.inputs[0].op.type != "LogicalAnd":
        return False
    compared = (source.op for source in select.inputs[0].op.inputs if source.op.type == "Equal")
    return any(select.inputs[2] in equal.inputs for equal in compared)


def _leading_to(tensor: Any, x: Any) -> Iterator[Any]:
    """The operations that compute a tensor from another one."""
    if tensor is x:
        return
    yield tensor.op
    for source in tensor.op.inputs:
        yield from _leading_to(source, x)


def _other_readers(importer: Importer, tensor: Any) -> Iterator[Any]:
    """The operations that read labels, in whatever shape, but for look-ups by them."""
    wrapped = [reader for reader in tensor.consumers() if counted_from_the_end(reader) is tensor]
    inside = {x.op for reader in wrapped for x in reader.inputs}
    for reader in tensor.consumers():
        if reader in wrapped or reader.type in _PASSED_ON:
            for result in reader.outputs:
                if reader.type not in ("Shape", "NoOp"):
                    yield from _other_readers(importer, result)
        elif reader not in inside and not (reader.type == "GatherV2" and is_embedding(importer, reader)):
            yield reader
