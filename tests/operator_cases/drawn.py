"""What random operators are drawn from: formats, clamps, vectors and kernels all over what the file format allows."""

from __future__ import annotations

import numpy as np

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator, OperatorKind, Tensor
from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS, QFormat
from networks import NetworkBuilder, random_stored

ACTIVATIONS = ("FIXED8", "UFIXED8", "FIXED16", "UFIXED16")


def random_format(rng: np.random.Generator, families: tuple[str, ...], low: int = -10, high: int = 30) -> QFormat:
    """A format of one of the families, most often with a usual number of fractional bits, sometimes an odd one."""
    form = QFormat.parse(str(rng.choice(families)))
    return form.with_frac_bits(int(rng.integers(low, high))) if form.is_fixed else form


def output_format(rng: np.random.Generator, total_bits: int, magnitude: int) -> QFormat:
    """A format for totals of `total_bits` fractional bits: one that fits `magnitude`, one too fine or too coarse, or FLOAT32."""
    if rng.random() < 0.1:
        return QFormat.parse("FLOAT32")
    form = QFormat.parse(str(rng.choice(ACTIVATIONS)))
    fitting = total_bits - max(magnitude.bit_length() - form.bits, 0)
    away = int(rng.choice([0, -1, 1, -2, 2, 3, -12, 12, 40], p=[0.4, 0.2, 0.1, 0.15, 0.05, 0.02, 0.03, 0.03, 0.02]))
    return form.with_frac_bits(int(np.clip(fitting + away, MIN_FRAC_BITS, MAX_FRAC_BITS)))


def random_clamp(rng: np.random.Generator, form: QFormat) -> tuple[float, float] | None:
    """No clamp, a ReLU, or any two limits of the format."""
    kind = rng.choice(3, p=[0.6, 0.3, 0.1])
    if kind == 0:
        return None
    if form.is_float:
        return (0.0, float("inf")) if kind == 1 else (-1.5, 6.0)
    if kind == 1:
        return (0, form.max_int)
    low, high = sorted(rng.integers(form.min_int, form.max_int, 2, endpoint=True).tolist())
    return (low, high)


def random_zero(rng: np.random.Generator, source: QFormat) -> int:
    """What the stored value that means 0 may be for an input of a format: of unsigned ones, half of the time, any."""
    if source.signed or source.is_float or rng.random() < 0.5:
        return 0
    return int(rng.integers(source.max_int, endpoint=True))


def vectors(rng: np.random.Generator, net: NetworkBuilder, channels: int, sum_bits: int) -> tuple[int, int, int]:
    """Multiplier or ABSENT, bias or ABSENT, and the fractional bits of the total."""
    multiplier = bias = ABSENT
    if rng.random() < 0.5:
        form = random_format(rng, ("FIXED4", "FIXED8", "FIXED16", "FIXED32"))
        multiplier = net.constant("multiplier", random_stored(rng, form, (channels,)), form)
        sum_bits += form.frac_bits or 0
    if rng.random() < 0.6:
        form = QFormat.parse(str(rng.choice(["FIXED4", "FIXED8", "FIXED16", "FIXED32"])))
        coarsest, finest = max(MIN_FRAC_BITS, sum_bits - 24), min(sum_bits, MAX_FRAC_BITS)
        if coarsest <= finest:
            form = form.with_frac_bits(int(rng.integers(coarsest, finest, endpoint=True)))
            bias = net.constant("bias", random_stored(rng, form, (channels,)), form)
    return multiplier, bias, sum_bits


def kernel_of(rng: np.random.Generator, net: NetworkBuilder, shape: tuple[int, ...]) -> tuple[int, QFormat]:
    form = random_format(rng, ("FIXED2", "FIXED4", "FIXED8", "FIXED16", "SIGN"))
    return net.constant("kernel", random_stored(rng, form, shape), form), form


def magnitude(rng: np.random.Generator, net: NetworkBuilder, kind: str, inputs: tuple[int, ...]) -> int:
    """About the size of typical totals: some bits below the largest possible one."""
    output = Tensor("y", (1,), QFormat.parse("FLOAT32"))
    operator = Operator(OperatorKind(kind), inputs, (len(net.tensors),))
    proven = ops.bounds(Model((*net.tensors, output), (operator,), (), ()), operator)
    assert proven is not None
    return max(proven.largest >> int(rng.integers(5)), 1)
