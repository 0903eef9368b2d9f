"""Lists of tensors whose entries are all known, in a flat GraphDef without loops: entries are read where they were written.

A recurrent layer takes its sequence apart into such a list, and puts the results of its steps together from another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasq_convert.frontend.variables import node_of

NUMBERED = ("TensorListGetItem", "TensorListSetItem")  # their second input is the number of an entry


def resolve_lists(flat: Any, constants: Mapping[str, np.ndarray]) -> None:
    """Turns what reads lists into what reads their entries, as far as these are known.

    Args:
        flat: The GraphDef, without loops around lists.
        constants: Values of tensors that depend on no input, by name.
    """
    lists = _Lists(flat, constants)
    for node in list(flat.node):
        if node.op == "TensorListGetItem":
            number = lists.number(node.input[1])
            entry = None if number is None else lists.entry(node.input[0], number)
            if entry is not None:
                _become(node, "Identity", [entry], node.attr["element_dtype"].type)
        elif node.op == "TensorListStack":
            entries = lists.entries(node.input[0])
            if entries is not None:
                _become(node, "Pack", entries, node.attr["element_dtype"].type)
                node.attr["N"].i, node.attr["axis"].i = len(entries), 0


class _Lists:
    """The lists of a graph.

    Args:
        flat: The GraphDef; slices of a tensor that became a list are added to it.
        constants: Values of tensors that depend on no input, by name.
    """

    def __init__(self, flat: Any, constants: Mapping[str, np.ndarray]):
        self._flat, self._constants = flat, constants
        self._nodes = {node.name: node for node in flat.node}
        self._slices: dict[tuple[str, int], str] = {}

    def number(self, reference: str) -> int | None:
        """The integer that a tensor holds, if it is a constant."""
        import tensorflow as tf

        node = self._node(reference)
        if node.op == "Const":
            return int(tf.make_ndarray(node.attr["value"].tensor))
        value = self._constants.get(reference if ":" in reference else f"{reference}:0")
        return None if value is None else int(value)

    def entry(self, reference: str, number: int) -> str | None:
        """What is the entry of this number, if it is known."""
        node = self._node(reference)
        while node.op == "TensorListSetItem":
            written = self.number(node.input[1])
            if written is None or written == number:
                return None if written is None else node.input[2]
            node = self._node(node.input[0])
        return self._slice(node, number) if node.op == "TensorListFromTensor" else None

    def entries(self, reference: str) -> list[str] | None:
        """All entries of a list that was made empty and then filled, if they are known."""
        node = self._node(reference)
        while node.op == "TensorListSetItem":
            node = self._node(node.input[0])
        count = self.number(node.input[1]) if node.op == "TensorListReserve" else None
        entries = [self.entry(reference, number) for number in range(count or 0)]
        known = [entry for entry in entries if entry is not None]
        return known if known and len(known) == len(entries) else None

    def _node(self, reference: str) -> Any:
        """The node that makes a value, through identities."""
        node = self._nodes[node_of(reference)]
        while node.op == "Identity":
            node = self._nodes[node_of(node.input[0])]
        return node

    def _slice(self, node: Any, number: int) -> str:
        """An entry of a list that was made of a tensor: its slice along the first axis."""
        import tensorflow as tf

        key = (node.name, number)
        if key not in self._slices:
            name = f"{node.name}/entry_{number}"
            limits = []
            for part, value in (("begin", number), ("end", number + 1), ("step", 1)):
                limit = self._flat.node.add(name=f"{name}/{part}", op="Const")
                limit.attr["dtype"].type = tf.int32.as_datatype_enum
                limit.attr["value"].tensor.CopyFrom(tf.make_tensor_proto([value], tf.int32))
                limits.append(limit.name)
            taken = self._flat.node.add(name=name, op="StridedSlice", input=[node.input[0], *limits])
            taken.attr["T"].type, taken.attr["Index"].type = node.attr["element_dtype"].type, tf.int32.as_datatype_enum
            taken.attr["shrink_axis_mask"].i = 1
            self._slices[key] = name
        return self._slices[key]


def _become(node: Any, operation: str, inputs: list[str], kind: int) -> None:
    """Makes `node` another operation of these inputs and this type."""
    node.op = operation
    node.ClearField("attr")
    del node.input[:]
    node.input.extend(inputs)
    node.attr["T"].type = kind
