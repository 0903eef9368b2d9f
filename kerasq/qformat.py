"""Q-formats: how a tensor's values are stored, and the arithmetic that all of kerasq shares.

A stored integer q of a format with n fractional bits stands for q * 2**-n. The names are those of nnabla's settings files:

    FIXED8_4     8 bits, two's complement, 4 of them fractional: -8 .. 7.9375 in steps of 1/16
    FIXED16_12   16 bits, 12 of them fractional
    FIXED8_-2    steps of 4: the number of fractional bits may be negative,
    FIXED8_12    or exceed the width (weights that are all tiny)
    UFIXED8_8    unsigned: 0 .. 255/256, for tensors that can't be negative
    SIGN         one bit a value: +1 or -1
    TERNARY      a kernel whose output channels each have values -a, 0 and a. It is stored as FIXED2_0, a in its multiplier: like
                 a family, no tensor's own format
    FLOAT32      IEEE binary32
    FIXED8       a family: the number of fractional bits is still to be chosen

Rounding is `floor(v + 1/2)` on exact reals everywhere, and a result saturates once, at the end. The page NUMERICS.md beside
this file is the definition; the functions here are its implementation for NumPy arrays.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import re
from collections.abc import Iterator

import numpy as np

from kerasq.text import shown

MIN_FRAC_BITS = -32
MAX_FRAC_BITS = 63


class Kind(enum.StrEnum):
    """How a stored value is read."""

    FLOAT = "FLOAT"
    FIXED = "FIXED"
    UFIXED = "UFIXED"
    SIGN = "SIGN"
    TERNARY = "TERNARY"


_WIDTHS = {Kind.FLOAT: (32,), Kind.FIXED: (2, 4, 8, 16, 32), Kind.UFIXED: (4, 8, 16), Kind.SIGN: (1,), Kind.TERNARY: (2,)}
_PATTERN = re.compile(r"(FLOAT32|SIGN|TERNARY|(U?FIXED)([0-9]{1,3})(?:_(-?[0-9]{1,3}))?)")
GRAMMAR = "FLOAT32, SIGN, TERNARY, FIXED2/4/8/16/32 or UFIXED4/8/16, the latter two with or without _n (n fractional bits)"


@dataclasses.dataclass(frozen=True)
class QFormat:
    """The format of one tensor.

    Attributes:
        kind: Which of the kinds of storage.
        bits: Bits of one stored value.
        frac_bits: Number of fractional bits, -32..63; `None` for a family such as `FIXED8`; 0 where the kind has none.

    Example:

    >>> QFormat.parse("FIXED8_4").step
    0.0625
    >>> str(QFormat(Kind.UFIXED, 8, 8))
    'UFIXED8_8'
    """

    kind: Kind
    bits: int
    frac_bits: int | None = 0

    def __post_init__(self) -> None:
        if self.bits not in _WIDTHS[self.kind]:
            raise ValueError(f"{self.kind} is stored in {_WIDTHS[self.kind]} bits. Received: bits={self.bits}")
        if not self.is_fixed and self.frac_bits != 0:
            raise ValueError(f"{self.kind} has no fractional bits. Received: frac_bits={self.frac_bits}")
        if self.frac_bits is not None and not MIN_FRAC_BITS <= self.frac_bits <= MAX_FRAC_BITS:
            raise ValueError(f"frac_bits must lie in [{MIN_FRAC_BITS}, {MAX_FRAC_BITS}]. Received: frac_bits={self.frac_bits}")

    @classmethod
    def parse(cls, text: str) -> QFormat:
        """The format that `text` names.

        Raises:
            ValueError: `text` is not the name of a format.
        """
        match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(f"A format is one of {GRAMMAR}. Received: {shown(text)}")
        if match[1] in _WITHOUT_FRAC_BITS:
            return _WITHOUT_FRAC_BITS[match[1]]
        try:
            return cls(Kind(match[2]), int(match[3]), None if match[4] is None else int(match[4]))
        except ValueError as error:
            raise ValueError(f"{text!r} is not a format: {error}") from None

    def __str__(self) -> str:
        if self.frac_bits is None or not self.is_fixed:
            return self.family
        return f"{self.family}_{self.frac_bits}"

    @property
    def family(self) -> str:
        """The name without the number of fractional bits: `FIXED8` of `FIXED8_4`."""
        return str(self.kind) if self.kind in (Kind.SIGN, Kind.TERNARY) else f"{self.kind}{self.bits}"

    @property
    def is_fixed(self) -> bool:
        """Whether values are integers with a binary point (`FIXED` or `UFIXED`)."""
        return self.kind in (Kind.FIXED, Kind.UFIXED)

    @property
    def is_float(self) -> bool:
        return self.kind is Kind.FLOAT

    @property
    def is_sign(self) -> bool:
        return self.kind is Kind.SIGN

    @property
    def signed(self) -> bool:
        return self.kind is not Kind.UFIXED

    @property
    def min_int(self) -> int:
        """Smallest stored integer."""
        if self.kind in (Kind.SIGN, Kind.TERNARY):
            return -1
        return -(1 << (self.bits - 1)) if self.kind is Kind.FIXED else 0

    @property
    def max_int(self) -> int:
        """Largest stored integer."""
        if self.kind in (Kind.SIGN, Kind.TERNARY):
            return 1
        return (1 << (self.bits - 1)) - 1 if self.kind is Kind.FIXED else (1 << self.bits) - 1

    @property
    def largest_magnitude(self) -> int:
        """max|q| of the stored integers q of a fixed format or SIGN."""
        return max(-self.min_int, self.max_int)

    @property
    def step(self) -> float:
        """Distance of neighbouring values, 2**-frac_bits."""
        return 2.0 ** -self._frac_bits()

    @property
    def min(self) -> float:
        """Smallest value."""
        return self.min_int * self.step

    @property
    def max(self) -> float:
        """Largest value."""
        return self.max_int * self.step

    @property
    def dtype(self) -> np.dtype:
        """Element type of an array that holds stored values, unpacked (values of less than 8 bits take a byte each)."""
        if self.kind is Kind.FLOAT:
            return np.dtype(np.float32)
        return np.dtype(f"{'u' if self.kind is Kind.UFIXED else 'i'}{max(self.bits, 8) // 8}")

    def with_frac_bits(self, frac_bits: int) -> QFormat:
        """The member of this family with so many fractional bits."""
        return dataclasses.replace(self, frac_bits=frac_bits)

    def _frac_bits(self) -> int:
        if self.frac_bits is None:
            raise ValueError(f"{self} is a family: its number of fractional bits is not chosen yet")
        return self.frac_bits

    def finest(self, low: float, high: float) -> int | None:
        """The largest number of fractional bits with which this family saturates neither `low` nor `high`.

        Within -32..63: -32 also where that saturates. `None` where both are zero, which every format holds. An unsigned
        family ignores a negative `low`.

        >>> QFormat.parse("FIXED8").finest(-1.0, 127 / 128)
        7
        """
        low, high = (low if self.signed else 0.0), max(high, 0.0)
        if low >= 0.0 and high == 0.0:
            return None
        # |x| * 2**n >= 2**bits leaves the range whatever the rounding: begin above, step down. -128.5 rounds into the
        # range and 127.5 out of it, since halves are rounded up.
        above = self.bits + 1 - math.frexp(max(-low, high))[1]
        frac_bits = min(max(above, MIN_FRAC_BITS), MAX_FRAC_BITS)
        while frac_bits > MIN_FRAC_BITS and (
            low < math.ldexp(self.min_int - 0.5, -frac_bits) or high >= math.ldexp(self.max_int + 0.5, -frac_bits)
        ):
            frac_bits -= 1
        return frac_bits

    def nbytes(self, shape: tuple[int, ...]) -> int:
        """Bytes that a tensor of this shape takes in a file or in the arena.

        SIGN pads each row of the first axis (an output channel) to whole 32-bit words; values of 2 and 4 bits share bytes.
        """
        count = math.prod(map(int, shape))
        if self.kind is Kind.SIGN:
            rows = shape[0] if shape else 1
            return rows * -(-(count // max(rows, 1)) // 32) * 4
        return -(-count * self.bits // 8)

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Stored values of real `values`: round half up, saturate. NaN becomes 0; FLOAT32 rounds as IEEE does.

        Args:
            values: Real numbers, any shape and float or integer dtype (integers up to 2**53 are taken exactly).

        Returns:
            Array of `self.dtype` and the same shape.
        """
        values = np.asarray(values)
        if self.kind is Kind.FLOAT:
            return values.astype(np.float32)
        stored = np.empty(values.shape, self.dtype)
        places = stored.reshape(-1)
        for start, block in blocks(values):  # float64 of a large kernel, several times over, would take far more than the kernel
            places[start : start + block.size] = self._quantized(block)
        return stored[()]

    def _quantized(self, values: np.ndarray) -> np.ndarray:
        if self.kind is Kind.SIGN:
            return np.where(values >= 0, 1, -1)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = values.astype(np.float64) * 2.0 ** self._frac_bits()  # what ldexp does, in a tenth of its time
            whole = np.floor(scaled)
            # floor(v + 0.5) would round 0.49999999999999994 up: the sum itself rounds. v - floor(v) is exact where it matters.
            rounded = whole + (scaled - whole >= 0.5)
        unknown = np.isnan(rounded)
        if unknown.any():
            rounded = np.where(unknown, 0.0, rounded)
        return np.clip(rounded, self.min_int, self.max_int)

    def dequantize(self, stored: np.ndarray, dtype: np.typing.DTypeLike = np.float32) -> np.ndarray:
        """Values of stored integers, q * 2**-frac_bits (in float32: rounded to it where a FIXED32 needs more)."""
        stored = np.asarray(stored)
        if self.kind in (Kind.FLOAT, Kind.SIGN):
            return stored.astype(dtype)
        return (stored.astype(np.float64) * self.step).astype(dtype)

    def saturate(self, integers: np.ndarray) -> np.ndarray:
        """Integers limited to the stored range, as `self.dtype`."""
        return np.clip(integers, self.min_int, self.max_int).astype(self.dtype)

    def requantize(self, integers: np.ndarray, shift: int) -> np.ndarray:
        """`saturate(shift_right(integers, shift))`: from `frac_bits + shift` fractional bits to this format's.

        Args:
            integers: int64 array, or anything that converts to it.
            shift: Places to shift right, rounding half up; negative shifts left.
        """
        integers = np.asarray(integers, np.int64)
        if shift >= 0:
            return self.saturate(shift_right(integers, shift))
        # What lies outside saturates whatever its size; limiting first keeps the left shift inside 64 bits.
        places = min(-shift, 32)
        limited = np.clip(integers, (self.min_int >> places) - 1, (self.max_int >> places) + 1)
        return self.saturate(limited << places)


def blocks(values: np.ndarray, elements: int = 1 << 20) -> Iterator[tuple[int, np.ndarray]]:
    """An array in flat pieces of at most `elements` values, in C order, each with the place of its first."""
    flat = values.reshape(-1)
    for start in range(0, flat.size, elements):
        yield start, flat[start : start + elements]


def shift_right(integers: np.ndarray, shift: int) -> np.ndarray:
    """`floor(a / 2**shift + 1/2)` of int64 `integers` for any shift >= 0, without overflow of the added half."""
    integers = np.asarray(integers, np.int64)
    if shift == 0:
        return integers
    if shift > 64:
        return np.zeros_like(integers)
    # floor(a / 2**s + 1/2) is floor(a / 2**s), plus one where the highest bit shifted out is set: nothing is added to a itself.
    return (integers >> min(shift, 63)) + ((integers >> (shift - 1)) & 1)


FLOAT32 = QFormat(Kind.FLOAT, 32)
SIGN = QFormat(Kind.SIGN, 1)
TERNARY = QFormat(Kind.TERNARY, 2)
_WITHOUT_FRAC_BITS = {str(format_): format_ for format_ in (FLOAT32, SIGN, TERNARY)}


def fixed(bits: int, frac_bits: int | None = None, signed: bool = True) -> QFormat:
    """`FIXED{bits}_{frac_bits}`, or `UFIXED...` where `signed` is false."""
    return QFormat(Kind.FIXED if signed else Kind.UFIXED, bits, frac_bits)
