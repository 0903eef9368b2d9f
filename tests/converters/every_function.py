"""A small functional network around keras.ops functions: `FUNCTIONS`, by name, each with what it makes of symbolic tensors.

`x` is an image of shape (8, 8, 4), `y` another; `s` is a sequence (8, 4) and `v` a vector (12,).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

o = keras.ops
SHAPES = {"x": (8, 8, 4), "y": (8, 8, 4), "s": (8, 4), "v": (12,)}

_OF_ONE = re.findall(
    r"\w+",
    """
    abs absolute all any arcsinh arctan argmax argmin argsort cbrt ceil celu cos cosh count_nonzero cumprod cumsum
    deg2rad elu erf exp exp2 expm1 fabs floor gelu glu hard_sigmoid hard_silu hard_tanh hard_shrink isfinite isinf isnan
    leaky_relu log_sigmoid log_softmax logical_not logsumexp max mean median min nan_to_num negative normalize ones_like
    prod rad2deg relu relu6 round selu sigmoid sign signbit silu sin sinh soft_shrink softmax softplus softsign sort
    sparse_plus sparse_sigmoid sparsemax square squareplus std sum tanh tanh_shrink trunc var zeros_like ravel
    """,
)
_OF_TWO = re.findall(
    r"\w+",
    """
    add arctan2 divide divide_no_nan equal floor_divide fmax fmin greater greater_equal hypot isclose less less_equal
    logaddexp logical_and logical_or logical_xor maximum minimum mod multiply not_equal power subtract true_divide
    """,
)

_OF_POSITIVE = re.findall(
    r"\w+",
    """
    log log10 log1p log2 reciprocal rsqrt sqrt arccosh
    """,
)
_OF_SMALL = re.findall(
    r"\w+",
    """
    arccos arcsin arctanh tan erfinv
    """,
)

FUNCTIONS: dict[str, Callable[..., Any]] = (
    {name: (lambda x, name=name: getattr(o, name)(x)) for name in _OF_ONE}
    | {name: (lambda x, name=name: getattr(o, name)(o.abs(x) + 1)) for name in _OF_POSITIVE}
    | {name: (lambda x, name=name: getattr(o, name)(o.tanh(x) * 0.9)) for name in _OF_SMALL}
    | {name: (lambda x, y, name=name: getattr(o, name)(x, y)) for name in _OF_TWO}
    | {
        "append": lambda x, y: o.append(x, y, axis=-1),
        "average": lambda x: o.average(x, axis=1),
        "average_pool": lambda x: o.average_pool(x, 2),
        "cast": lambda x: o.cast(o.cast(x, "float16"), "float32"),
        "clip": lambda x: o.clip(x, -1, 1),
        "concatenate": lambda x, y: o.concatenate([x, y], axis=-1),
        "cross": lambda x, y: o.cross(x[..., :3], y[..., :3]),
        "diagonal": lambda x: o.diagonal(x, axis1=1, axis2=2),
        "diff": lambda s: o.diff(s, axis=1),
        "digitize": lambda v: o.digitize(v, np.array([-0.5, 0.5])),
        "dot": lambda s: o.dot(s, o.ones((4, 3))),
        "einsum": lambda s: o.einsum("bij,bkj->bik", s, s),
        "expand_dims": lambda s: o.expand_dims(s, 1),
        "flip": lambda x: o.flip(x, axis=2),
        "get_item": lambda x: x[:, 1:5, :, 1:],
        "layer_normalization": lambda x: o.layer_normalization(x),
        "linspace": lambda v: o.linspace(v, v + 1, 3, axis=1),
        "matmul": lambda s: o.matmul(s, o.transpose(s, (0, 2, 1))),
        "max_pool": lambda x: o.max_pool(x, 2),
        "moveaxis": lambda x: o.moveaxis(x, 1, 2),
        "norm": lambda s: o.norm(s, axis=-1),
        "one_hot": lambda v: o.one_hot(o.cast(v, "int32"), 4),
        "pad": lambda x: o.pad(x, ((0, 0), (1, 1), (2, 0), (0, 0))),
        "quantile": lambda x: o.quantile(x, 0.5, axis=-1),
        "repeat": lambda x: o.repeat(x, 2, axis=1),
        "reshape": lambda x: o.reshape(x, (-1, 64, 4)),
        "rms_normalization": lambda x: o.rms_normalization(x),
        "roll": lambda x: o.roll(x, 1, axis=1),
        "split": lambda x: o.split(x, 2, axis=-1)[0],
        "squeeze": lambda s: o.squeeze(o.max(s, axis=1, keepdims=True), 1),
        "stack": lambda v: o.stack([v, v], axis=1),
        "swapaxes": lambda x: o.swapaxes(x, 1, 2),
        "take": lambda x: o.take(x, [0, 2], axis=-1),
        "take_along_axis": lambda s: o.take_along_axis(s, o.argsort(s, axis=1), axis=1),
        "tensordot": lambda s: o.tensordot(s, o.ones((4, 3)), 1),
        "tile": lambda s: o.tile(s, (1, 2, 1)),
        "top_k": lambda v: o.top_k(v, 3)[0],
        "transpose": lambda x: o.transpose(x, (0, 2, 1, 3)),
        "tril": lambda x: o.tril(o.transpose(x, (0, 3, 1, 2))),
        "unstack": lambda s: o.unstack(s, axis=1)[0],
        "where": lambda x, y: o.where(x > 0, x, y),
        "while_loop": lambda x: o.while_loop(lambda t: o.max(t) < 3, lambda t: (t * 1.1,), (x,))[0],
    }
)


def network(name: str) -> keras.Model:
    """The function's network, with an output per tensor that it gives."""
    function = FUNCTIONS[name]
    inputs = [keras.Input(SHAPES[key], name=key) for key in inspect.signature(function).parameters if key in SHAPES]
    return keras.Model(inputs, function(*inputs), name="net")
