"""One handler per TensorFlow operation: what it becomes in the converter's graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend import (
    arithmetic,
    convolutions,
    joins,
    labels,
    moves,
    reductions,
    resizing,
    selections,
    transposed_convolutions,
)
from kerasq_convert.frontend.curves import CURVES, POINTWISE, curve, pointwise
from kerasq_convert.frontend.embedding import only_indexes
from kerasq_convert.frontend.fake_quantization import fake_quantization
from kerasq_convert.frontend.importing import Importer

_OF_LOOPS = ("Enter", "Exit", "LoopCond", "Merge", "Switch")


def import_operation(importer: Importer, operation: Any) -> None:
    """Adds the node of an operation, if it has one.

    Raises:
        UnsupportedError: There is no such node; the text says why.
    """
    if operation.type in _OF_LOOPS:
        raise UnsupportedError("a loop is not supported")
    if importer.reads_inside(operation) and operation.type != "BatchToSpaceND":
        return
    handler = HANDLERS.get(operation.type)
    if handler is None:
        raise UnsupportedError(f"operation {operation.type} is not supported")
    handler(importer, operation)


def _forward(importer: Importer, operation: Any) -> None:
    """Operations that pass their inputs on: each output is an input's value (IdentityN has several)."""
    for result, source in zip(operation.outputs, operation.inputs, strict=False):
        if source.name in importer.values:
            importer.values[result.name] = importer.values[source.name]


def _cast(importer: Importer, operation: Any) -> None:
    source, result = operation.inputs[0], operation.outputs[0]
    if source.dtype.is_floating and not result.dtype.is_floating and not only_indexes(operation):
        raise UnsupportedError(f"a cast from {source.dtype.name} to {result.dtype.name} is not supported")
    importer.alias(operation, source)


HANDLERS: dict[str, Callable[[Importer, Any], None]] = (
    dict.fromkeys(("Identity", "IdentityN", "StopGradient", "PreventGradient", "CheckNumerics"), _forward)
    | dict.fromkeys(("Add", "AddV2", "Sub", "Mul", "RealDiv", "DivNoNan"), arithmetic.arithmetic)
    | dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), arithmetic.batch_norm)
    | dict.fromkeys(("Relu", "Relu6", "Maximum", "Minimum", "ClipByValue"), arithmetic.clamp)
    | dict.fromkeys(("Conv2D", "DepthwiseConv2dNative"), convolutions.convolution)
    | dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2"), convolutions.dense)
    | dict.fromkeys(("ArgMax", "ArgMin"), labels.argmax)
    | dict.fromkeys(("MaxPool", "MaxPoolV2", "AvgPool"), moves.pool)
    | dict.fromkeys(("Mean", "Sum", "Max", "Min"), reductions.reduction)
    | dict.fromkeys(("Reshape", "Squeeze", "ExpandDims"), moves.reshape)
    | {
        "Einsum": convolutions.einsum,
        "Transpose": joins.transpose,
        "ConcatV2": joins.concat,
        "Pack": joins.pack,
        "Tile": joins.tile,
        "BroadcastTo": joins.broadcast,
        "Conv2DBackpropInput": transposed_convolutions.transposed_convolution,
        "Neg": arithmetic.negate,
        "SpaceToBatchND": convolutions.space_to_batch,
        "BatchToSpaceND": convolutions.dilated_convolution,
    }
    | dict.fromkeys(("DepthToSpace", "SpaceToDepth"), joins.depth_to_space)
    | dict.fromkeys(("Pad", "PadV2"), moves.pad)
    | {"MirrorPad": moves.mirror_pad, "ResizeNearestNeighbor": resizing.nearest, "ResizeBilinear": resizing.bilinear}
    | dict.fromkeys(("Split", "SplitV", "Unpack"), selections.split)
    | {
        "StridedSlice": selections.strided_slice,
        "Slice": selections.slice_,
        "GatherV2": selections.gather,
        "ReverseV2": selections.reverse,
        "Roll": selections.roll,
    }
    | dict.fromkeys(("FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars"), fake_quantization)
    | dict.fromkeys(CURVES, curve)
    | dict.fromkeys(POINTWISE, pointwise)
    | {"Cast": _cast, "BiasAdd": arithmetic.bias_add, "Softmax": moves.softmax}
)
