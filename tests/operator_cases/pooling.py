"""What the cases of both poolings share."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np

from kerasq.format.model import Model, Operator
from networks import NetworkBuilder
from operator_cases.drawn import ACTIVATIONS, output_format, random_clamp, random_format
from operator_cases.exact import step_of, taps
from operator_cases.rules import OUTPUT, WINDOW_RULES


def valid(kind: str, net: NetworkBuilder, buffers: str, **attributes) -> int:
    attributes = {"window": (3, 2), "strides": (2, 1), "padding": (1, 2, 1, 0), **attributes}
    return net.apply(kind, (net.activation("x", (1, 6, 5, 2), buffers),), buffers, OUTPUT, **attributes)


def pooling(rng: np.random.Generator) -> Model:
    """Maxima and averages, with partial windows."""
    net = NetworkBuilder()
    window, strides = (tuple(rng.integers(1, 5, 2).tolist()) for _ in range(2))
    padding = tuple(int(rng.integers(0, window[axis])) for axis in (0, 0, 1, 1))
    sizes = [
        int(rng.integers(max(1, window[axis] - padding[2 * axis] - padding[2 * axis + 1]), window[axis] + 6)) for axis in (0, 1)
    ]
    source = random_format(rng, ACTIVATIONS)
    x = net.activation("x", (1, *sizes, int(rng.integers(1, 4))), source)
    if rng.random() < 0.4:
        kind, form = "MAX_POOL_2D", source
    else:
        kind, form = "AVERAGE_POOL_2D", output_format(rng, source.frac_bits or 0, source.max_int)
        if form.is_fixed:
            distance = int(np.clip((form.frac_bits or 0) - (source.frac_bits or 0), -24, 24))
            form = form.with_frac_bits(int(np.clip((source.frac_bits or 0) + distance, -32, 63)))
    y = net.apply(kind, (x,), form, window=window, strides=strides, padding=padding, clamp=random_clamp(rng, form))
    return net.build((x,), (y,))


def taps_of(model: Model, operator: Operator, x: np.ndarray) -> Iterator[tuple[list[int], Fraction]]:
    """The valid taps of every output value, and what a stored 1 of them is worth."""
    _, rows, columns, channels = model.output(operator).shape
    vertical = taps(rows, operator.window[0], operator.strides[0], 1, operator.padding[0], x.shape[1])
    horizontal = taps(columns, operator.window[1], operator.strides[1], 1, operator.padding[2], x.shape[2])
    scale, pixels = step_of(model, operator, "input"), x.tolist()
    for example, row, column, channel in product(range(len(x)), range(rows), range(columns), range(channels)):
        yield [pixels[example][y][z][channel] for (_, y), (_, z) in product(vertical[row], horizontal[column])], scale


RULES = [
    *WINDOW_RULES,
    ({"window": (0, 2)}, "size must be at least 1"),
    ({"window": (10, 2)}, "larger than the padded input"),
    ({"window": (3, 65536)}, "at most 65535 high and wide"),
]
