"""Embeddings: rows of a constant table, by numbers that the input gives."""

from __future__ import annotations

from typing import Any

from kerasq import ops
from kerasq.format import OperatorKind
from kerasq.ops.argmax import place_format
from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.chain import Chain
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.graph import Gather, Identity

MOST_ROWS = ops.TABLE[OperatorKind.GATHER].limits["max_rows"]


def is_embedding(importer: Importer, operation: Any) -> bool:
    """Whether a GatherV2 takes rows of a constant matrix."""
    table, indices, axis = operation.inputs
    along = importer.constant(axis)
    constant = table.shape.rank == 2 and importer.constant(table) is not None and importer.constant(indices) is None
    return constant and along is not None and int(along) == 0 and not operation.get_attr("batch_dims")


def only_indexes(operation: Any) -> bool:
    """Whether look-ups alone read a result, as their numbers: these are whole, in whatever type they come."""
    (result,) = operation.outputs
    wrapped = [reader for reader in result.consumers() if counted_from_the_end(reader) is result]
    inside = {x.op for reader in wrapped for x in reader.inputs}
    read = [result, *(reader.outputs[0] for reader in wrapped)]
    readers = {reader for tensor in read for reader in tensor.consumers()} - inside - set(wrapped)
    return bool(readers) and all(reader.type == "GatherV2" and reader.inputs[1] in read for reader in readers)


def counted_from_the_end(operation: Any) -> Any:
    """x of where(x < 0, x + rows, x), which Keras computes before a look-up; None of anything else."""
    if operation.type != "SelectV2":
        return None
    condition, added, x = operation.inputs
    is_that = condition.op.type == "Less" and added.op.type == "AddV2" and condition.op.inputs[0] is x is added.op.inputs[0]
    return x if is_that else None


def embedding(importer: Importer, operation: Any) -> None:
    """A look-up; its numbers, which are whole in whatever type they come, have 8 bits for tables of up to 256 rows, else 16."""
    table_tensor, indices, _ = operation.inputs
    table = importer.constant(table_tensor)
    if table is None or len(table) > MOST_ROWS:
        raise UnsupportedError(f"an embedding of more than {MOST_ROWS:,} rows is not supported")
    negative = counted_from_the_end(indices.op)  # no number of a network is
    indices = indices if negative is None else negative
    chain = Chain.of(importer, operation, indices)
    chain.add(Identity, chain.shape, format=place_format(len(table)))
    chain.add(Gather, (*chain.shape, table.shape[1]), kernel=table, layer=chain.layers[-1])
    chain.finish(importer, operation.outputs[0].name, shape_of(operation.outputs[0]))
