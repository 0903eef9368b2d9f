"""What the user should know of scalings that stay operators of their own before a convolution that could take them in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kerasq import ops
from kerasq.format import Model
from kerasq.format.model import ABSENT
from kerasq_convert.graph import Convolution, Graph, Scaling
from kerasq_convert.naming import Names


def scaling_notes(graph: Graph, model: Model) -> Iterator[str]:
    """One note for each scaling with an offset that only the padding of a convolution keeps out of that one."""
    names, readers = Names(graph), graph.consumers()
    operators = {model.output(operator).name: operator for operator in model.operators}
    for node in graph.nodes:
        padded = [reader.layers[-1] for reader in readers[node.output] if isinstance(reader, Convolution) and any(reader.padding)]
        operator = operators.get(names.buffer(node.output))
        if not isinstance(node, Scaling) or node.bias is None or not np.any(node.bias) or not padded or operator is None:
            continue
        size = sum(model.tensors[index].nbytes for index in operator.inputs[1:] if index != ABSENT)
        macs = ops.macs(model, operator)
        yield (
            f"layer {node.layers[0]!r} stays an operator of its own, with {size:,} bytes of constants and {macs:,} "
            f"multiply-accumulates: the padding of {padded[0]!r} is zeros, which its offset does not reach. It "
            "costs nothing in the code that reads the inputs, or with ZeroPadding2D before it and padding='valid' in the "
            "convolution (which is another network: train it so)"
        )
