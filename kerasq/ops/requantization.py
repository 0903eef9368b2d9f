"""From exact integer sums to stored outputs: multiplier, bias, the one rounding, saturation, clamp.

    y = clamp(saturate(requantize(sum * factor + offset + addend * 2**places, shift)))    (NUMERICS.md sections 2 and 3)

The result is defined on integers; the work is done in the fastest type that provably gives the same bits. float32 holds
every integer up to 2**24, float64 up to 2**53, so sums, products and the added half are exact as long as their bound
stays below; a multiplication by a power of two is exact; floor is exact; and clip and floor commute because the
limits are integers. Only beyond 2**53 does the work fall back to int64.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from kerasq.format.model import Operator
from kerasq.ops.bounds import Bounds
from kerasq.qformat import QFormat

# Shifting a non-zero integer left by so much leaves every stored range, so that larger left shifts saturate alike.
_SATURATING_SHIFT = 32


@dataclasses.dataclass(frozen=True)
class Requantization:
    """How an operator has to sum, and what becomes of the sums.

    Attributes:
        dtype: Type in which to sum: float32, float64 or int64.
        gain: Factor, a scalar or one per channel, that what is summed has to carry; exact in `dtype`.
        finish: `finish(sums, out, addend=None)` writes the stored outputs to `out`; `sums`, channels last, is overwritten.
    """

    dtype: np.dtype
    gain: np.ndarray
    finish: Callable[..., None]


def exact_dtype(bound: int) -> np.dtype:
    """The fastest type in which sums of integers are exact while no partial sum exceeds `bound`."""
    if bound < 1 << 24:
        return np.dtype(np.float32)
    return np.dtype(np.float64 if bound < 1 << 53 else np.int64)


def limits(output: QFormat, operator: Operator) -> tuple[int, int]:
    """Smallest and largest stored integer that an operator with a fixed `output` may write."""
    if operator.clamp is None:
        return output.min_int, output.max_int
    return int(operator.clamp[0]), int(operator.clamp[1])


def rounding_half(frac_bits: int, output: QFormat) -> int:
    """What requantizing from `frac_bits` adds before it shifts: 2**(s-1), or 0 where nothing is rounded."""
    if output.is_float:
        return 0
    shift = frac_bits - (output.frac_bits or 0)
    return 1 << (shift - 1) if shift > 0 else 0


def requantization(
    operator: Operator,
    output: QFormat,
    frac_bits: int,
    bounds: Bounds,
    factor: np.ndarray | None = None,
    offset: np.ndarray | None = None,
    addend_places: int = 0,
    folded: bool = True,
) -> Requantization:
    """The fastest exact way from sums to stored outputs.

    Args:
        operator: For its clamp.
        output: Format of the output.
        frac_bits: Fractional bits of `sum * factor + offset + addend * 2**addend_places`.
        bounds: Of the sums, and of that with the rounding half.
        factor: int64, one per channel; `None` for 1.
        offset: int64, one per channel; `None` for 0.
        addend_places: By how many places an addend is shifted left, where `finish` is given one.
        folded: Whether what is summed may have to carry a factor other than 1.
    """
    factor = np.ones((), np.int64) if factor is None else factor
    offset = np.zeros((), np.int64) if offset is None else offset
    if bounds.largest >= 1 << 53:
        return _in_integers(operator, output, frac_bits, bounds, factor, offset, addend_places)
    if output.is_float:
        return _to_float32(operator, frac_bits, bounds, factor, offset, addend_places)
    return _in_floats(operator, output, frac_bits, bounds, factor, offset, addend_places, folded)


def _in_floats(
    operator: Operator,
    output: QFormat,
    frac_bits: int,
    bounds: Bounds,
    factor: np.ndarray,
    offset: np.ndarray,
    addend_places: int,
    folded: bool,
) -> Requantization:
    low, high = limits(output, operator)
    sum_dtype, dtype = exact_dtype(bounds.accumulator), exact_dtype(bounds.largest)
    places = min((output.frac_bits or 0) - frac_bits, _SATURATING_SHIFT)
    scale = np.ldexp(factor.astype(np.float64), places).astype(dtype)
    constant = np.ldexp((offset + rounding_half(frac_bits, output)).astype(np.float64), places).astype(dtype)
    addend_scale = dtype.type(2.0 ** (places + addend_places))
    # Where sums and totals share a type, each product x * w * factor is an integer below the same bound, times a power
    # of two: multiplying the terms once may replace multiplying every sum.
    folded = folded and sum_dtype == dtype
    truncates = low >= 0  # then the cast to integers is itself the floor

    def finish(sums: np.ndarray, out: np.ndarray, addend: np.ndarray | None = None) -> None:
        values = sums if folded else np.multiply(sums, scale, dtype=dtype)
        if addend is not None:
            np.add(values, np.multiply(addend, addend_scale, dtype=dtype), out=values)
        np.add(values, constant, out=values)
        np.clip(values, low, high, out=values)
        if not truncates:
            np.floor(values, out=values)
        np.copyto(out, values, casting="unsafe")

    return Requantization(sum_dtype, scale if folded else np.ones((), sum_dtype), finish)


def _to_float32(
    operator: Operator, frac_bits: int, bounds: Bounds, factor: np.ndarray, offset: np.ndarray, addend_places: int
) -> Requantization:
    """The value, rounded to float32 once: exact in float64, whose exponents reach 2**-189 and beyond, until the cast."""
    scale, constant = factor.astype(np.float64), offset.astype(np.float64)
    sum_dtype = exact_dtype(bounds.accumulator)

    def finish(sums: np.ndarray, out: np.ndarray, addend: np.ndarray | None = None) -> None:
        values = np.multiply(sums, scale, dtype=np.float64)
        if addend is not None:
            np.add(values, np.multiply(addend, 2.0**addend_places, dtype=np.float64), out=values)
        np.add(values, constant, out=values)
        np.multiply(values, 2.0**-frac_bits, out=values)
        _store_float32(values, operator, out)

    return Requantization(sum_dtype, np.ones((), sum_dtype), finish)


def _in_integers(
    operator: Operator,
    output: QFormat,
    frac_bits: int,
    bounds: Bounds,
    factor: np.ndarray,
    offset: np.ndarray,
    addend_places: int,
) -> Requantization:
    sum_dtype = exact_dtype(bounds.accumulator)

    def finish(sums: np.ndarray, out: np.ndarray, addend: np.ndarray | None = None) -> None:
        totals = sums.astype(np.int64) * factor + offset
        if addend is not None:
            totals += addend.astype(np.int64) << addend_places
        if output.is_float:
            _store_float32(np.ldexp(_rounded_to_odd(totals), -frac_bits), operator, out)
        else:
            np.clip(output.requantize(totals, frac_bits - (output.frac_bits or 0)), *limits(output, operator), out=out)

    return Requantization(sum_dtype, np.ones((), sum_dtype), finish)


def _rounded_to_odd(integers: np.ndarray) -> np.ndarray:
    """float64 values that round to float32 as the int64 `integers` themselves would.

    Below 2**53 the conversion is exact. Above, the low 11 bits are replaced by one sticky bit: the 52 bits that remain
    are exact in float64, and with at least 2 bits more than float32 keeps, the sticky bit decides every tie correctly.
    """
    sticky = ((integers >> 11) | ((integers & 2047) != 0)) << 11
    return np.where(np.abs(integers) < 1 << 53, integers, sticky).astype(np.float64)


def _store_float32(values: np.ndarray, operator: Operator, out: np.ndarray) -> None:
    with np.errstate(over="ignore", under="ignore"):
        np.copyto(out, values, casting="unsafe")
    if operator.clamp is not None:
        np.clip(out, *operator.clamp, out=out)
