"""How many fractional bits the accumulator proof (NUMERICS.md section 3) leaves for automatic formats.

A sum is carried with n_t = n_x + n_w + n_m fractional bits. Kernels or multipliers that are tiny beside a bias, or beside the
step of the output, would ask for more bits than 64 hold; the last of them decide nothing.
"""

from __future__ import annotations

import math

import numpy as np

from kerasq.qformat import MIN_FRAC_BITS, QFormat
from kerasq_convert.graph import WeightedNode

BITS = 61  # of 63: each term may be rounded up


def most_frac_bits(node: WeightedNode, source: QFormat, output: QFormat, addend: QFormat | None = None) -> int | None:
    """The largest n_t with which the total T of a weighted operator surely stays below 2**63.

    T / 2**n_t is at most the largest sum of |w|·max|x| with its bias, and the largest addend, and half a step of the output:

        n_t <= 61 - log2(max over channels of (sum of |w|·max|x| + |b|) + max|r| + 2**-(n_y + 1))

    `None` where nothing bounds it: an operator that computes in float, or one that gives nothing but zeros.
    """
    if not source.is_fixed and not source.is_sign:
        return None
    rows = np.array([np.abs(row).sum(dtype=np.float64) for row in node.kernel])  # no copy of the whole kernel
    rows = rows * (1.0 if node.multiplier is None else np.abs(node.multiplier)) * max(-source.min, source.max)
    largest = float(np.max(rows + (0.0 if node.bias is None else np.abs(node.bias.astype(np.float64)))))
    if addend is not None and addend.is_fixed:
        largest += max(-addend.min, addend.max)
    if output.is_fixed:
        largest += output.step / 2
    return BITS - math.frexp(largest)[1] if 0 < largest < math.inf else None


def within(format_: QFormat, others: int, most: int | None) -> QFormat:
    """`format_` with no more fractional bits than `most` leaves beside those of others."""
    if most is None or not format_.is_fixed or format_.frac_bits is None:
        return format_
    return format_.with_frac_bits(max(min(format_.frac_bits, most - others), MIN_FRAC_BITS))
