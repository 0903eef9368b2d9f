"""Shapes that a graph computes from those of its inputs, which TensorFlow does not follow through all operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def find_shapes(graph: Any, operations: list[Any], variables: Mapping[str, np.ndarray], inputs: Iterable[Any]) -> None:
    """Sets the shapes of tensors that are open though the sizes of all inputs are fixed, by computing them once for zeros.

    Where that can't be done (in a loop, or where an operation has no implementation), they stay open.
    """
    import tensorflow as tf

    inputs = list(inputs)
    loops = any(operation.type in ("Enter", "Switch") for operation in operations)
    unknown = [
        tensor
        for operation in operations
        for tensor in operation.outputs
        if not tensor.shape.is_fully_defined() and tensor.dtype not in (tf.variant, tf.resource, tf.string)
    ]
    if not unknown or loops:
        return
    feeds = {tensor: np.zeros(tensor.shape, tensor.dtype.as_numpy_dtype) for tensor in inputs}
    own = {tensor.op for tensor in inputs}
    waiting = [operation for operation in operations if operation.type == "Placeholder" and operation not in own]
    feeds |= {operation.outputs[0]: variables[operation.name] for operation in waiting}
    with tf.compat.v1.Session(graph=graph) as session:
        try:
            values = session.run(unknown, feed_dict=feeds)
        except tf.errors.OpError:
            return
    for tensor, value in zip(unknown, values, strict=True):
        tensor.set_shape(np.shape(value))
