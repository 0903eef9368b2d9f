"""How constants lie in a file: between arrays of stored values and bytes.

All numbers are little endian. Values that take less than a byte share bytes:

* 2-bit and 4-bit values: four or two per byte, earlier ones in lower bits.
* SIGN: one bit per value, 1 for +1 and 0 for -1, in 32-bit words from the lowest bit up. Each row of the first axis (an output
  channel) begins a new word, so that a kernel can work on whole words.

Bits after the last value (of a row, for SIGN) are zero: a tensor has exactly one representation.

Rows of FIXED8, the output channels of a kernel, may lie in pairs (`Layout.PAIRS`), in the order in which a processor that
multiplies two halfwords by two others wants them: a value of the one and of the other in turn, so that bytes 0 and 2 of a word
are two values of the first row, bytes 1 and 3 of the second; of each four values of a row 1 and 3 come before 0 and 2, as inputs
come when a word of them is split in the same way. There is an even number of rows, of a multiple of four values.
"""

from __future__ import annotations

import math

import numpy as np

from kerasq.qformat import QFormat

_TURN = 4  # values of a row that change places
_ORDER = (1, 3, 0, 2)


def pairs_problem(format: QFormat, shape: tuple[int, ...]) -> str | None:
    """Why rows of this format and shape can't lie in pairs; `None` where they can."""
    if format.family == "FIXED8" and len(shape) > 1 and shape[0] % 2 == 0 and math.prod(shape[1:]) % _TURN == 0:
        return None
    return f"rows in pairs are FIXED8, an even number of them, of multiples of {_TURN} values. Received: {format}, shape={shape}"


def paired(rows: np.ndarray) -> np.ndarray:
    """The values of rows, the first axis, in pairs."""
    parts = rows.reshape(len(rows) // 2, 2, -1, _TURN)[..., _ORDER]
    return np.ascontiguousarray(parts.transpose(0, 2, 3, 1)).reshape(rows.shape)


def unpaired(pairs: np.ndarray) -> np.ndarray:
    """The inverse of `paired`."""
    parts = pairs.reshape(len(pairs) // 2, -1, _TURN, 2).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(parts[..., np.argsort(_ORDER)]).reshape(pairs.shape)


def pack(values: np.ndarray, format: QFormat) -> bytes:
    """Stored values as the bytes of a file.

    Args:
        values: Array of `format.dtype` with at least one axis, unpacked; SIGN as +1 and -1.
        format: How to store them.

    Raises:
        ValueError: A SIGN array holds something other than +1 and -1, one of 2 or 4 bits something outside its range.
    """
    values = np.asarray(values)
    if format.bits >= 8:
        return values.astype(_file_dtype(format)).tobytes()
    if format.is_sign:
        if not np.isin(values, (-1, 1)).all():
            raise ValueError(f"SIGN stores +1 and -1 only. Received: values={np.unique(values)}")
        rows = values.reshape(values.shape[0], -1) > 0
        return np.packbits(np.pad(rows, ((0, 0), (0, -rows.shape[1] % 32))), axis=1, bitorder="little").tobytes()
    if values.min() < format.min_int or values.max() > format.max_int:
        raise ValueError(f"{format.family} stores {format.min_int}..{format.max_int}. Received: {values.min()}..{values.max()}")
    places = np.arange(0, 8, format.bits, dtype=np.uint8)
    parts = np.pad(values.reshape(-1).view(np.uint8) & (1 << format.bits) - 1, (0, -values.size % len(places)))
    return np.bitwise_or.reduce(parts.reshape(-1, len(places)) << places, axis=1).tobytes()


def unpack(content: bytes | memoryview, format: QFormat, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of `pack`.

    Args:
        content: As many bytes as `format.nbytes(shape)`.
        format: How they are stored.
        shape: Of the result.

    Returns:
        Read-only array of `format.dtype`; from 8 bits up a view on `content`.

    Raises:
        ValueError: There are more or fewer bytes, or a bit after the last value is not zero.
    """
    expected = format.nbytes(shape)
    if len(content) != expected:
        raise ValueError(f"{format.family} data of shape {shape} takes {expected} bytes. Received: {len(content)} bytes")
    count = math.prod(shape)
    if format.bits >= 8:
        return np.frombuffer(content, _file_dtype(format)).astype(format.dtype, copy=False).reshape(shape)
    packed = np.frombuffer(content, np.uint8)
    if format.is_sign:
        bits = np.unpackbits(packed.reshape(shape[0], -1), axis=1, bitorder="little")
        row = count // shape[0]
        values, spare = 2 * bits[:, :row].view(np.int8) - 1, bits[:, row:]
    else:
        places = np.arange(0, 8, format.bits, dtype=np.uint8)
        parts: np.ndarray = (packed[:, None] >> places & (1 << format.bits) - 1).reshape(-1)
        values, spare = parts[:count], parts[count:]
        if format.signed:
            half = 1 << (format.bits - 1)
            values = (values ^ half).view(np.int8) - half  # sign extension: of 4 bits 8..15 become -8..-1
    if spare.any():
        raise ValueError(f"{format.family} data of shape {shape}: a bit after the last value is not zero")
    values = values.astype(format.dtype, copy=False).reshape(shape)
    values.setflags(write=False)
    return values


def _file_dtype(format: QFormat) -> np.dtype:
    return format.dtype.newbyteorder("<")
