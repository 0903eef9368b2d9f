"""Operations with the channels before rows and columns (data_format NCHW), as the same with the channels last.

Each is put between two transpositions; those of neighbours cancel (kerasq_convert.passes.sink_transposes), so that of a whole
network of them one is left at its beginning and, where its output is an image, one at its end.
"""

from __future__ import annotations

from typing import Any

TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # axes of NCHW in the order NHWC, and back

# The operations, with the number of the input that holds the image.
_IMAGES = {
    "Conv2D": 0,
    "DepthwiseConv2dNative": 0,
    "MaxPool": 0,
    "AvgPool": 0,
    "FusedBatchNorm": 0,
    "FusedBatchNormV2": 0,
    "FusedBatchNormV3": 0,
    "Conv2DBackpropInput": 2,
}


def with_channels_last(flat: Any) -> None:
    """Rewrites the NCHW operations of a flat GraphDef that have an equivalent."""
    others = {name.lstrip("^").rsplit(":", 1)[0] for node in flat.node for name in node.input if ":" in name}
    for node in list(flat.node):
        if node.op in _IMAGES and node.attr["data_format"].s == b"NCHW" and node.name not in others:
            _rewrite(flat, node)


def _rewrite(flat: Any, node: Any) -> None:
    name = node.name
    place, controls = _IMAGES[node.op], [source for source in node.input if source.startswith("^")]
    kind = node.attr["T"].type
    before = _transposition(flat, f"{name}_channels_last", node.input[place], TO_LAST, kind)
    if node.op == "Conv2DBackpropInput":
        node.input[0] = _permuted_sizes(flat, f"{name}_sizes", node.input[0]).name
    node.name = f"{name}_of_channels_last"
    node.input[place] = before.name
    node.attr["data_format"].s = b"NHWC"
    for attribute in ("strides", "dilations", "ksize"):
        if attribute in node.attr:
            _permute(node.attr[attribute].list.i, 1)
    if "explicit_paddings" in node.attr:
        _permute(node.attr["explicit_paddings"].list.i, 2)
    _transposition(flat, name, node.name, TO_FIRST, kind).input.extend(controls)
    for attribute in [key for key in node.attr if key == "_output_shapes"]:
        del node.attr[attribute]


def _permute(values: Any, values_per_axis: int) -> None:
    """The values of an attribute, so many for each axis, in the order NHWC; attributes that are not given have none."""
    if len(values) == values_per_axis * len(TO_LAST):
        values[:] = [
            value for axis in TO_LAST for value in values[values_per_axis * axis : values_per_axis * axis + values_per_axis]
        ]


def _permuted_sizes(flat: Any, name: str, source: str) -> Any:
    """The sizes NCHW that a tensor holds, in the order NHWC."""
    import tensorflow as tf

    order, axis = _constant(flat, f"{name}_axes", TO_LAST), _constant(flat, f"{name}_axis", 0)
    node = flat.node.add(name=name, op="GatherV2", input=[source, order.name, axis.name])
    for attribute in ("Tparams", "Tindices", "Taxis"):
        node.attr[attribute].type = tf.int32.as_datatype_enum
    return node


def _constant(flat: Any, name: str, value: Any) -> Any:
    import tensorflow as tf

    node = flat.node.add(name=name, op="Const")
    node.attr["dtype"].type = tf.int32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.int32))
    return node


def _transposition(flat: Any, name: str, source: str, order: tuple[int, ...], kind: int) -> Any:
    import tensorflow as tf

    axes = _constant(flat, f"{name}_axes", order)
    node = flat.node.add(name=name, op="Transpose", input=[source, axes.name])
    node.attr["T"].type, node.attr["Tperm"].type = kind, tf.int32.as_datatype_enum
    return node
