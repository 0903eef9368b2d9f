"""What a kernel's values tell: binary, on a grid already, or free.

A binary layer's kernel, folded, has one magnitude per output channel (alpha; 1 for BinaryConnect). A fixed-point layer's
lies exactly on a power-of-two grid of few bits, which trained float weights never do.
"""

from __future__ import annotations

import numpy as np

from kerasq.qformat import QFormat, fixed


def binary_scale(kernel: np.ndarray) -> np.ndarray | None:
    """The magnitude of each output channel if every channel has only one, else None.

    A kernel of a single weight per channel says nothing, and one that is zero throughout is no sign: both give None.
    """
    magnitudes = np.abs(kernel.reshape(len(kernel), -1))
    if magnitudes.shape[1] < 2 or not magnitudes.any() or np.any(magnitudes != magnitudes[:, :1]):
        return None
    return magnitudes[:, 0].astype(np.float64)


def grid_of(kernel: np.ndarray, widths: tuple[int, ...] = (4, 8, 16)) -> QFormat | None:
    """The narrowest signed format that holds every value exactly, with as few fractional bits as possible; else None."""
    values = np.unique(kernel[kernel != 0].astype(np.float64))
    if not values.size:
        return None
    mantissas, exponents = np.frexp(values)
    # value = whole · 2^(exponent - 53) with a whole number of 53 bits; its trailing zeros tell the coarsest grid it lies on.
    whole = np.abs(np.ldexp(mantissas, 53)).astype(np.int64)
    trailing = np.log2((whole & -whole).astype(np.float64)).astype(int)
    frac_bits = int(np.max(53 - exponents - trailing))
    for bits in widths:
        try:
            format_ = fixed(bits, frac_bits)
        except ValueError:
            return None
        if format_.min <= values[0] and values[-1] <= format_.max:
            return format_
    return None


def holds(format_: QFormat, kernel: np.ndarray) -> bool:
    """Whether every value is exactly a value of `format_`."""
    values = kernel.astype(np.float64)
    return bool(np.all(format_.dequantize(format_.quantize(values), np.float64) == values))
