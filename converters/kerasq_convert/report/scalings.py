"""What the user should know of scalings that stay operators of their own before a convolution that could take them in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kerasq import ops
from kerasq_convert import roles
from kerasq_convert.emission.emit import Emitted
from kerasq_convert.graph import Convolution, Graph, Scaling


def scaling_notes(graph: Graph, emitted: Emitted) -> Iterator[str]:
    """One note for each scaling with an offset that only the padding of a convolution keeps out of that one."""
    model, readers = emitted.model, graph.consumers()
    operators = {emitted.roles[operator.outputs[0]]: operator for operator in model.operators}
    for node in graph.nodes:
        padded = [reader.layers[-1] for reader in readers[node.output] if isinstance(reader, Convolution) and any(reader.padding)]
        if not isinstance(node, Scaling) or node.bias is None or not np.any(node.bias) or not padded:
            continue
        operator = operators[roles.buffer(node.output)]
        constants = (tensor for tensor in model.operands(operator) if tensor is not None and tensor.is_constant)
        size = sum(tensor.nbytes for tensor in constants)
        macs = ops.macs(model, operator)
        yield (
            f"layer {node.layers[0]!r} stays an operator of its own, with {size:,} bytes of constants and {macs:,} "
            f"multiply-accumulates: the padding of {padded[0]!r} is zeros, which its offset does not reach. It "
            "costs nothing in the code that reads the inputs, or with ZeroPadding2D before it and padding='valid' in the "
            "convolution (which is another network: train it so)"
        )
