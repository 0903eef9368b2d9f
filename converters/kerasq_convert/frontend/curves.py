"""Functions of one value: an operation of TensorFlow, computed by TensorFlow itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasq_convert.errors import UnsupportedError
from kerasq_convert.frontend.importing import Importer, shape_of
from kerasq_convert.graph import Curve, Function, Pointwise

# Operations with the name of their argument, and the attributes that belong to the function.
CURVES: dict[str, tuple[str, tuple[str, ...]]] = (
    dict.fromkeys(("Elu", "Selu", "Softplus", "Softsign"), ("features", ()))
    | dict.fromkeys(
        (
            "Sigmoid",
            "Tanh",
            "Exp",
            "Expm1",
            "Log",
            "Log1p",
            "Erf",
            "Erfc",
            "Abs",
            "Square",
            "Sqrt",
            "Rsqrt",
            "Sign",
            "Sin",
            "Cos",
            "Tan",
            "Sinh",
            "Cosh",
            "Asin",
            "Acos",
            "Atan",
            "Asinh",
            "Acosh",
            "Atanh",
            "Erfinv",
        ),
        ("x", ()),
    )
    | {"LeakyRelu": ("features", ("alpha",)), "Reciprocal": ("x", ())}
)


# Operations of several values, with the names of their arguments.
POINTWISE: dict[str, tuple[str, ...]] = (
    dict.fromkeys(("Greater", "GreaterEqual", "Less", "LessEqual", "Pow", "LogicalAnd", "LogicalOr"), ("x", "y"))
    | dict.fromkeys(("ZerosLike", "OnesLike", "LogicalNot"), ("x",))
    | {"SelectV2": ("condition", "t", "e")}
)


def pointwise(importer: Importer, operation: Any) -> None:
    """An operation of POINTWISE, or a quotient of two activations; scalars among the operands become part of it."""
    names = POINTWISE.get(operation.type, ("x", "y"))
    constants = [importer.constant(tensor) for tensor in operation.inputs]
    if any(constant is not None and np.size(constant) > 1 for constant in constants):
        raise UnsupportedError(f"{operation.type} with a constant for each value is not supported")
    read = [tensor for tensor, constant in zip(operation.inputs, constants, strict=True) if constant is None]
    if any(shape_of(tensor) != shape_of(operation.outputs[0]) for tensor in read):
        raise UnsupportedError(f"{operation.type} of activations of different shapes is not supported")
    function = combined(operation.type, names, constants)
    importer.add(Pointwise(**importer.common(operation, *read), function=function))


def combined(kind: str, names: tuple[str, ...], constants: Sequence[np.ndarray | None]) -> Callable[..., np.ndarray]:
    """An operation as a function of those of its operands that are not constant."""

    def function(*values: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        activations = iter(values)
        operands = [next(activations) if constant is None else np.reshape(constant, ()) for constant in constants]
        type_ = next((value.dtype for value in values if value.dtype != bool), None)
        tensors = [tf.constant(v if v.dtype == bool or type_ is None else v.astype(type_)) for v in operands]
        return getattr(tf.raw_ops, kind)(**dict(zip(names, tensors, strict=True))).numpy()

    return function


def curve(importer: Importer, operation: Any) -> None:
    """An operation of CURVES."""
    if operation.type == "Rsqrt" and _of_own_statistics(operation):
        raise UnsupportedError("a root of an example's own statistics is not supported here")
    argument, names = CURVES[operation.type]
    attributes = {name: operation.get_attr(name) for name in names}
    function = _evaluated(operation.type, argument, attributes)
    importer.add(Curve(**importer.common(operation, operation.inputs[0]), function=function))


def _evaluated(kind: str, argument: str, attributes: dict[str, Any]) -> Function:
    def function(values: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        return getattr(tf.raw_ops, kind)(**{argument: tf.constant(values)}, **attributes).numpy()

    return function


def _of_own_statistics(operation: Any) -> bool:
    """Whether an operation reads a sum or mean, perhaps with a constant: what follows divides an example by its own length."""
    while operation.type in ("Add", "AddV2", "Maximum", "Cast", "Identity", "Reshape", "Rsqrt"):
        operation = next((x.op for x in operation.inputs if x.op.type != "Const"), operation.inputs[0].op)
    return operation.type in ("Mean", "Sum")
