"""The float network with the rounding that its own quantizers do: what was trained, and what a conversion is to keep."""

from __future__ import annotations

import dataclasses

from kerasq import ops
from kerasq.format.model import Model, Operator, OperatorKind, Tensor
from kerasq.qformat import QFormat
from kerasq_convert.memory.plan import plan_memory
from kerasq_convert.network import Network


def as_trained(reference: Model, network: Network) -> Model:
    """`reference`, the network in FLOAT32, with every value that one of its quantizers rounds brought to that format and back.

    A quantizer is not an operator of the network but a demand on the format of what goes through it, so that the network in
    FLOAT32 computes as if there were none.
    """
    formats = {network.names.buffer(node.output): node.format for node in network.graph.nodes if node.format is not None}
    if not formats:
        return reference
    tensors = list(reference.tensors)
    operators: list[Operator] = []
    for operator in reference.operators:
        (output,) = operator.outputs
        rounded = tensors[output]
        form = formats.get(rounded.name)
        if form is None:
            operators.append(operator)
            continue
        tensors += [_like(rounded, "sum", rounded.format), _like(rounded, "stored", form)]
        exact, stored = len(tensors) - 2, len(tensors) - 1
        operators.append(operator.replace(outputs=(exact,)))
        operators += [ops.make(OperatorKind.QUANTIZE, {"input": a}, b) for a, b in ((exact, stored), (stored, output))]
    model = dataclasses.replace(reference, tensors=tuple(tensors), test=None)
    return plan_memory(dataclasses.replace(model, operators=tuple(ops.with_widths(model, operator) for operator in operators)))


def _like(tensor: Tensor, suffix: str, form: QFormat) -> Tensor:
    return Tensor(f"{tensor.name}/{suffix}", tensor.shape, form)
