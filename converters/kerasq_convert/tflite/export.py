"""A whole network as a TFLite file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import kerasq
from kerasq.format.labels import labels_of
from kerasq.format.model import Model, Operator, OperatorKind
from kerasq_convert.tflite import elementwise, indices, values, weighted
from kerasq_convert.tflite.builder import Builder
from kerasq_convert.tflite.values import Network
from kerasq_convert.tflite.zeros import shared_zeros

SIGNATURE = "serving_default"


class TfliteError(ValueError):
    """TFLite has no equivalent of some of a network.

    Attributes:
        problems: All of it, each with its remedy.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclasses.dataclass(frozen=True)
class TfliteFile:
    """What `to_tflite` makes.

    Attributes:
        content: The file.
        clipped: Weights of -128, which TFLite's kernels may not have: they are -127 in it.
    """

    content: bytes
    clipped: int


def _none(network: Network, operator: Operator) -> Iterator[str]:
    return iter(())


_KINDS: dict[OperatorKind, tuple[Callable[[Network, Operator], None], Callable[[Network, Operator], Iterator[str]]]] = {
    OperatorKind.CONV_2D: (weighted.add, weighted.problems),
    OperatorKind.DENSE: (weighted.add, weighted.problems),
    OperatorKind.ADD: (elementwise.add_add, elementwise.reach_problems),
    OperatorKind.MUL: (elementwise.add_mul, elementwise.reach_problems),
    OperatorKind.MAX_POOL_2D: (elementwise.add_max_pool, _none),
    OperatorKind.AVERAGE_POOL_2D: (elementwise.add_average_pool, elementwise.average_problems),
    OperatorKind.CONCAT: (elementwise.add_concat, elementwise.reach_problems),
    OperatorKind.RESHAPE: (elementwise.add_reshape, _none),
    OperatorKind.TRANSPOSE: (elementwise.add_transpose, _none),
    OperatorKind.QUANTIZE: (elementwise.add_quantize, elementwise.reach_problems),
    OperatorKind.LOOKUP: (elementwise.add_lookup, elementwise.lookup_problems),
    OperatorKind.SOFTMAX: (elementwise.add_softmax, elementwise.softmax_problems),
    OperatorKind.ARGMAX: (indices.add_argmax, indices.argmax_problems),
    OperatorKind.GATHER: (indices.add_gather, _none),
}


def to_tflite(model: Model) -> TfliteFile:
    """The same network as a TFLite file with int8 and int16 tensors.

    Inputs and outputs keep their order and names; those in UFIXED8 are int8 there, less 128.

    Args:
        model: A network whose activations are fixed; FLOAT32 may be at its ends, beside QUANTIZE.

    Raises:
        TfliteError: TFLite has no equivalent of some of it.
    """
    network = Network(model, Builder(), {}, shared_zeros(model))
    labels = labels_of(model)
    stored = (t for index, t in enumerate(model.tensors) if not t.is_constant and index not in labels)
    problems = [problem for tensor in stored for problem in values.problems(tensor)]
    for operator in model.operators:
        if operator.kind not in _KINDS:
            remedy = "train with BatchNormalization in its place, or ship the .kq file"
            problems.append(f"{model.output(operator).name} is a {operator.kind.name}: TFLite has no equivalent; {remedy}")
            continue
        problems += _KINDS[operator.kind][1](network, operator)
        read = [tensor for tensor in model.operands(operator) if tensor is not None and not tensor.is_constant]
        touched = [*read, model.output(operator)]
        if operator.kind != OperatorKind.QUANTIZE and any(tensor.format.is_float for tensor in touched):
            problems.append(f"{model.output(operator).name} computes in FLOAT32: convert with --representative_dataset")
    if problems:
        raise TfliteError(list(dict.fromkeys(problems)))
    inputs = {name: network.activation(index) for name, index in model.named_inputs().items()}
    for operator in model.operators:
        _KINDS[operator.kind][0](network, operator)
    outputs = {name: network.activation(index) for name, index in model.named_outputs().items()}
    content = network.builder.content(inputs, outputs, SIGNATURE, f"kerasq {kerasq.__version__}")
    return TfliteFile(content, network.clipped)
