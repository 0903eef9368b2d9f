"""What a kernel's values tell: binary, ternary, on a grid already, or free.

A binary layer's kernel, folded, has one magnitude per output channel (alpha; 1 for BinaryConnect). A fixed-point layer's
lies exactly on a power-of-two grid of few bits, which trained float weights never do. A ternary one has zeros beside one
magnitude per output channel.
"""

from __future__ import annotations

import numpy as np

from kerasq.qformat import QFormat, blocks, fixed

_BLOCK = 1 << 16  # values looked at together: most kernels that are neither tell so in the first of them
_COUNTS = np.arange(1, 128)  # magnitudes of the integers of up to 8 bits
_FIRST_LOOK = 16  # weights of a channel that rule out nearly all of those
_EVIDENCE = 8  # non-zero weights, beside one per channel, that are all integers by chance less than once in 10^15


def binary_scale(kernel: np.ndarray) -> np.ndarray | None:
    """The magnitude of each output channel if every channel has only one, else None.

    A kernel of a single weight per channel says nothing, and one that is zero throughout is no sign: both give None.
    """
    rows = kernel.reshape(len(kernel), -1)
    first = np.abs(rows[:, :1])
    if rows.shape[1] < 2 or not first.any():
        return None
    step = max(1, _BLOCK // rows.shape[1])
    for start in range(0, len(rows), step):
        if np.any(np.abs(rows[start : start + step]) != first[start : start + step]):
            return None
    return first[:, 0].astype(np.float64)


def ternary_scale(kernel: np.ndarray) -> np.ndarray | None:
    """The magnitude of each output channel (1 of one that is zero throughout) if all weights are -a, 0 or a, else None.

    Two weights of a channel with the same magnitude are no accident; a kernel without such, or of zeros, gives None.
    """
    rows = kernel.reshape(len(kernel), -1)
    largest = np.empty(len(rows), rows.dtype)
    step, repeated = max(1, _BLOCK // rows.shape[1]), 0
    for start in range(0, len(rows), step):
        magnitudes = np.abs(rows[start : start + step])
        largest[start : start + step] = most = magnitudes.max(axis=1)
        if np.any((magnitudes != 0) & (magnitudes != most[:, None])):
            return None
        repeated += int(np.count_nonzero(magnitudes) - np.count_nonzero(most))
    if repeated == 0 or not np.isfinite(largest).all():
        return None
    return np.where(largest == 0, 1, largest).astype(np.float64)


def grid_of(kernel: np.ndarray, widths: tuple[int, ...] = (2, 4, 8, 16)) -> QFormat | None:
    """The narrowest signed format that holds every value exactly, with as few fractional bits as possible; else None."""
    narrowest: QFormat | None = None
    frac_bits, low, high = None, np.inf, -np.inf
    for _, block in blocks(kernel, _BLOCK):
        values = block[block != 0].astype(np.float64)
        if not values.size:
            continue
        mantissas, exponents = np.frexp(values)
        # value = whole · 2^(exponent - 53) with a whole number of 53 bits; its trailing zeros tell the coarsest grid it lies on.
        whole = np.abs(np.ldexp(mantissas, 53)).astype(np.int64)
        trailing = np.log2((whole & -whole).astype(np.float64)).astype(int)
        needed = int(np.max(53 - exponents - trailing))
        frac_bits = needed if frac_bits is None else max(needed, frac_bits)
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        narrowest = _narrowest(widths, frac_bits, low, high)
        if narrowest is None:  # what follows can only ask for more
            return None
    return narrowest


def integers_and_scale(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The kernel as integers of at most 8 bits times a positive factor per output channel; else None.

    That is what a quantizer with an alpha leaves. A channel's weight of largest magnitude is m times its factor; of all m that
    make every weight of the channel an integer, up to float32's rounding of the products, the smallest is taken. Random weights
    fail with the first few; a kernel of few non-zero weights, where chance could do it, says nothing: None.

    Returns:
        Integers, float32, in the shape of `kernel`, and the factors, float64 (1 where a channel is zero throughout).
    """
    rows = kernel.reshape(len(kernel), -1)
    if np.count_nonzero(rows) - np.count_nonzero(rows.any(axis=1)) < _EVIDENCE:
        return None
    integers, scale = np.empty(rows.shape, np.float32), np.ones(len(rows))
    for channel in range(len(rows)):  # the first ones rule out most kernels
        row = rows[channel].astype(np.float64)
        largest = np.max(np.abs(row))
        if not np.isfinite(largest):
            return None
        if largest > 0:
            count = _integer_of_largest(row, largest)
            if count is None:
                return None
            scale[channel] = largest / count
        integers[channel] = np.rint(row / scale[channel])
    return integers.reshape(kernel.shape), scale


def _integer_of_largest(row: np.ndarray, largest: float) -> int | None:
    """The smallest m so that all weights are integers times `largest` / m."""
    counts = _COUNTS
    for start in (0, _FIRST_LOOK):
        part = row[start : _FIRST_LOOK if start == 0 else None]
        quotients = part / largest * counts[:, None]
        counts = counts[np.all(np.abs(quotients - np.rint(quotients)) <= 2.0**-21 * counts[:, None], axis=1)]
        if not counts.size:
            return None
    return int(counts[0])


def _narrowest(widths: tuple[int, ...], frac_bits: int, low: float, high: float) -> QFormat | None:
    """The first of these widths that holds both with so many fractional bits."""
    for bits in widths:
        try:
            format_ = fixed(bits, frac_bits)
        except ValueError:
            return None
        if format_.min <= low and high <= format_.max:
            return format_
    return None


def only_moves(kernel: np.ndarray) -> bool:
    """Whether no output channel adds two products: each reads a single value."""
    return bool(np.all(np.count_nonzero(kernel.reshape(len(kernel), -1), axis=1) <= 1))


def holds(format_: QFormat, kernel: np.ndarray) -> bool:
    """Whether every value is exactly a value of `format_`."""
    return all(
        np.array_equal(format_.dequantize(format_.quantize(block), np.float64), block.astype(np.float64))
        for _, block in blocks(kernel, _BLOCK)
    )
