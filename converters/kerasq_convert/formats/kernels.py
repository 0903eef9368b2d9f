"""What a kernel's values tell: binary, on a grid already, or free.

A binary layer's kernel, folded, has one magnitude per output channel (alpha; 1 for BinaryConnect). A fixed-point layer's
lies exactly on a power-of-two grid of few bits, which trained float weights never do.
"""

from __future__ import annotations

import numpy as np

from kerasq.qformat import QFormat, blocks, fixed

_BLOCK = 1 << 16  # values looked at together: most kernels that are neither tell so in the first of them


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


def grid_of(kernel: np.ndarray, widths: tuple[int, ...] = (4, 8, 16)) -> QFormat | None:
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
