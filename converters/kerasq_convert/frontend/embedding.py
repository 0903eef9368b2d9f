"""Embeddings: rows of a constant table, by numbers that the input gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasq.qformat import QFormat
from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.chain import Chain
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.graph import Convolution, Curve, Identity

MOST_ROWS = 1 << 16
_DIFFERENCE = QFormat.parse("FIXED8_0")
_ONE_HOT = QFormat.parse("UFIXED8_0")


def is_embedding(importer: Importer, operation: Any) -> bool:
    """Whether a GatherV2 takes rows of a constant matrix."""
    table, indices, axis = operation.inputs
    along = importer.constant(axis)
    constant = table.shape.rank == 2 and importer.constant(table) is not None and importer.constant(indices) is None
    return constant and along is not None and int(along) == 0 and not operation.get_attr("batch_dims")


def only_indexes(operation: Any) -> bool:
    """Whether look-ups alone read a result, as their numbers: these are whole, in whatever type they come."""
    (result,) = operation.outputs
    wrapped = [reader for reader in result.consumers() if _counted_from_the_end(reader) is result]
    inside = {x.op for reader in wrapped for x in reader.inputs}
    read = [result, *(reader.outputs[0] for reader in wrapped)]
    readers = {reader for tensor in read for reader in tensor.consumers()} - inside - set(wrapped)
    return bool(readers) and all(reader.type == "GatherV2" and reader.inputs[1] in read for reader in readers)


def _counted_from_the_end(operation: Any) -> Any:
    """x of where(x < 0, x + rows, x), which Keras computes before a look-up; None of anything else."""
    if operation.type != "SelectV2":
        return None
    condition, added, x = operation.inputs
    is_that = condition.op.type == "Less" and added.op.type == "AddV2" and condition.op.inputs[0] is x is added.op.inputs[0]
    return x if is_that else None


def embedding(importer: Importer, operation: Any) -> None:
    """The product of the table with a vector that is 1 where the number is, and 0 elsewhere.

    Number minus v is channel v of a 1x1 convolution of ones. Limited to 8 bits it is 0 where it was, and a table of 256 entries
    makes 1 of that, and 0 of all else. All of that is exact, so that what is left is the rounding of the table's rows.
    """
    table_tensor, indices, _ = operation.inputs
    table = importer.constant(table_tensor)
    if table is None or len(table) > MOST_ROWS:
        raise UnsupportedError(f"an embedding of more than {MOST_ROWS:,} rows is not supported")
    negative = _counted_from_the_end(indices.op)  # no number of a network is
    indices = indices if negative is None else negative
    rows, width = table.shape
    chain = Chain.of(importer, operation, indices)
    steps = (1, 1, int(np.prod(chain.shape)))
    chain.view((*steps, 1))
    chain.add(Identity, chain.shape, format=QFormat.parse("UFIXED8_0" if rows <= 256 else "UFIXED16_0"))
    layer = {"layer": chain.layers[-1]}
    ones, places = np.ones((rows, 1, 1, 1), np.float32), -np.arange(rows, dtype=np.float64)
    chain.add(Convolution, (*steps, rows), kernel=ones, bias=places, format=_DIFFERENCE, **layer)
    chain.add(Curve, chain.shape, function=_is_zero, format=_ONE_HOT)
    chain.add(Convolution, (*steps, width), kernel=np.ascontiguousarray(table.T).reshape(width, 1, 1, rows), **layer)
    chain.finish(importer, operation.outputs[0].name, shape_of(operation.outputs[0]))


def _is_zero(values: np.ndarray) -> np.ndarray:
    return (values == 0).astype(values.dtype)
