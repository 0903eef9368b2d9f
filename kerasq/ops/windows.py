"""Sliding windows: their geometry, the patches of input under them, and blocks of work that fit the cache."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from kerasq.format.model import Operator

# Temporary arrays of one block: what two of them need stays in a core's second-level cache.
BLOCK_BYTES = 1 << 19
MAX_SIDE = (1 << 16) - 1  # of a window: with it, an extent fits 32 bits


@dataclasses.dataclass(frozen=True)
class Window:
    """The window of a convolution or a pooling; pairs are vertical, horizontal.

    Attributes:
        size: Taps.
        strides: Steps from one output to the next.
        dilations: Distances of neighbouring taps.
        padding: Absent rows and columns at the top, bottom, left and right.
        zero: What absent taps contribute.
    """

    size: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    padding: tuple[int, int, int, int]
    zero: float = 0

    @classmethod
    def of(cls, operator: Operator, size: tuple[int, int]) -> Window:
        """The window of an operator; a convolution's size is its kernel's."""
        return cls(size, operator.strides, operator.dilations, operator.padding, operator.zero or operator.real_zero)

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns from the first tap to the last, both included."""
        (height, width), (vertical, horizontal) = self.size, self.dilations
        return (height - 1) * vertical + 1, (width - 1) * horizontal + 1

    def problems(self) -> Iterator[str]:
        """Attributes out of range."""
        for name in ("size", "strides", "dilations"):
            if min(getattr(self, name)) < 1:
                yield f"window {name} must be at least 1. Received: {name}={getattr(self, name)}"
                return
        if max(self.size) > MAX_SIDE:
            yield f"a window is at most {MAX_SIDE} high and wide. Received: size={self.size}"
        top, bottom, left, right = self.padding
        if min(self.padding) < 0 or max(top, bottom) >= self.extent[0] or max(left, right) >= self.extent[1]:
            yield (
                f"padding must be smaller than the window's extent {self.extent}, so that every window has a valid tap. "
                f"Received: padding={self.padding}"
            )

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the output for an input of this height and width; below 1 where no window fits."""
        top, bottom, left, right = self.padding
        rows = (height + top + bottom - self.extent[0]) // self.strides[0] + 1
        columns = (width + left + right - self.extent[1]) // self.strides[1] + 1
        return rows, columns

    def patches(self, x: np.ndarray, dtype: np.typing.DTypeLike) -> np.ndarray:
        """What every window sees, with `zero` for absent taps, as a read-only view where that takes less memory.

        Args:
            x: (batch, height, width, channels).
            dtype: Type to convert to.

        Returns:
            Array (batch, output rows, output columns, window rows, window columns, channels) of `dtype`.
        """
        _, height, width, _ = x.shape
        top, bottom, left, right = self.padding
        padded_area = (height + top + bottom) * (width + left + right)
        patch_area = math.prod(self.output_size(height, width)) * math.prod(self.size)
        if padded_area > 4 * (height * width + patch_area):
            return self._gathered(x.astype(dtype, copy=False))
        windows = np.lib.stride_tricks.sliding_window_view(self._padded(x, dtype), self.extent, axis=(1, 2))
        (vertical, horizontal), (below, beside) = self.strides, self.dilations
        return windows[:, ::vertical, ::horizontal, :, ::below, ::beside].transpose(0, 1, 2, 4, 5, 3)

    def _padded(self, x: np.ndarray, dtype: np.typing.DTypeLike) -> np.ndarray:
        top, bottom, left, right = self.padding
        if not any(self.padding):
            return x.astype(dtype, copy=False)
        batch, height, width, channels = x.shape
        padded = np.full((batch, height + top + bottom, width + left + right, channels), self.zero, dtype)
        padded[:, top : top + height, left : left + width] = x
        return padded

    def _gathered(self, x: np.ndarray) -> np.ndarray:
        """Patches tap by tap, for windows so wide that almost all of the padded input would be padding nobody sees."""
        _, height, width, _ = x.shape
        rows, columns = (
            np.arange(outputs)[:, None] * stride + np.arange(size) * dilation - before
            for outputs, stride, size, dilation, before in zip(
                self.output_size(height, width), self.strides, self.size, self.dilations, self.padding[::2], strict=True
            )
        )
        seen = x[:, np.clip(rows, 0, height - 1)[:, None, :, None], np.clip(columns, 0, width - 1)[None, :, None, :]]
        valid = ((rows >= 0) & (rows < height))[:, None, :, None] & ((columns >= 0) & (columns < width))[None, :, None, :]
        return np.where(valid[..., None], seen, np.array(self.zero, x.dtype))


def blocks(batch: int, rows: int, row_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Slices (examples, output rows) that cover `batch` x `rows`, each of about `BLOCK_BYTES` and contiguous.

    A block holds either whole examples or rows of a single one.

    Args:
        batch: Number of examples.
        rows: Output rows of an example.
        row_bytes: Size of the temporary arrays for one output row.
    """
    fitting = max(1, BLOCK_BYTES // row_bytes)
    if fitting >= rows:
        examples = fitting // rows
        for first in range(0, batch, examples):
            yield slice(first, first + examples), slice(None)
        return
    for example in range(batch):
        for first in range(0, rows, fitting):
            yield slice(example, example + 1), slice(first, first + fitting)
