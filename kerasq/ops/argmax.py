"""ARGMAX over the last axis: at which place the largest value stands, the first of equal ones.

What it writes are whole numbers, labels as a rule: UFIXED8_0 of up to 256 classes, UFIXED16_0 of up to 65,536, or FLOAT32 where a
network is FLOAT32 throughout. Source: NUMERICS.md section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.ops import float_path, moved
from kerasq.ops.bounds import Bounds
from kerasq.ops.operand import Operand
from kerasq.ops.spec import OperatorSpec, Shape
from kerasq.qformat import FLOAT32, QFormat, fixed

_FORMATS = (fixed(8, 0, signed=False), fixed(16, 0, signed=False))


def place_format(classes: int) -> QFormat:
    """The narrowest format of the output over so many classes.

    Raises:
        ValueError: None holds all of their places.

    Example:

    >>> str(place_format(10)), str(place_format(1000))
    ('UFIXED8_0', 'UFIXED16_0')
    """
    if classes > SPEC.limits["max_classes"]:
        raise ValueError(f"An argmax is over at most {SPEC.limits['max_classes']} classes. Received: classes={classes}")
    return next(form for form in _FORMATS if classes <= form.max_int + 1)


def output_shape(operator: Operator, shapes: Sequence[Shape]) -> Shape:
    """The input's shape without its last axis; (1, 1) of classes alone, as every activation has an axis after the batch axis."""
    return shapes[0][:-1] if len(shapes[0]) > 2 else (shapes[0][0], 1)


def rules(model: Model, operator: Operator) -> Iterator[str]:
    """The last axis; a format that holds all places."""
    shape, output = SPEC.tensor(model, operator, "input").shape, model.output(operator).format
    if len(shape) < 2:
        yield f"the input must have an axis after the batch axis. Received: shape={shape}"
        return
    if output not in (*_FORMATS, FLOAT32):
        yield f"the output must be {', '.join(map(str, _FORMATS))} or FLOAT32. Received: {output}"
        return
    most = output.max_int + 1 if output.is_fixed else SPEC.limits["max_classes"]
    if shape[-1] > most:
        yield f"an output of {output} tells at most {most} classes apart. Received: shape={shape}"


def bounds(model: Model, operator: Operator) -> Bounds:
    """max|x|: values are only compared."""
    return moved.bounds(SPEC.tensor(model, operator, "input"))


def prepare(model: Model, operator: Operator) -> Callable[[np.ndarray], np.ndarray]:
    """A callable from stored (batch, ..., classes) to stored places."""
    output = model.output(operator)

    def run(x: np.ndarray) -> np.ndarray:
        if x.dtype.kind == "f":
            x = np.where(np.isnan(x), -np.inf, x)
        places = x.argmax(axis=-1).reshape(len(x), *output.shape[1:])
        return float_path.store(places.astype(np.float32), output.format, operator)

    return run


SPEC = OperatorSpec(
    kind=OperatorKind.ARGMAX,
    operands=(Operand("input"),),
    output_shape=output_shape,
    bounds=bounds,
    prepare=prepare,
    rules=rules,
    limits={"max_classes": 1 << 16},  # UFIXED16_0 has so many places
    since=5,
    any_shape=True,
)
