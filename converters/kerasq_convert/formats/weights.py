"""The kernel of a weighted node: the format that its values ask for, how a format stores it, and the multiplier beside it."""

from __future__ import annotations

import dataclasses
import weakref

import numpy as np

from kerasq.format import Tensor
from kerasq.ops.families import GATHERED
from kerasq.qformat import SIGN, QFormat, fixed
from kerasq_convert.formats import ranges
from kerasq_convert.formats.choice import FIXED16, Choice, Reason
from kerasq_convert.formats.kernels import binary_scale, grid_of, holds, only_moves, ternary_scale
from kerasq_convert.graph import Gather, KernelNode, WeightedNode


@dataclasses.dataclass(frozen=True, eq=False)
class StoredKernel:
    """A kernel in a format.

    Attributes:
        format: The format.
        data: Stored values, which nobody may change.
        multiplier: What is multiplied by afterwards; nothing where the kernel took it in.
        largest: The largest magnitude of the values that are stored.
    """

    format: QFormat
    data: np.ndarray
    multiplier: np.ndarray | None
    largest: float

    @property
    def tensor(self) -> Tensor:
        """As a constant that has no name yet."""
        return Tensor("kernel", self.data.shape, self.format, data=self.data)


# Of each node the format that was asked for last: the proof looks at what emission then writes.
_LAST: weakref.WeakKeyDictionary[KernelNode, StoredKernel] = weakref.WeakKeyDictionary()


def stored_kernel(node: KernelNode, format_: QFormat) -> StoredKernel:
    """The kernel of a node in a format; the float network's shares its values with the graph."""
    last = _LAST.get(node)
    if last is not None and last.format == format_:
        return last
    values, multiplier = _kernel_and_multiplier(node, format_)
    data = values if format_.is_float and values.dtype == np.float32 else format_.quantize(values)
    stored = StoredKernel(format_, data, multiplier, largest_of(values))
    if not format_.is_float:
        _LAST[node] = stored
    return stored


def stored_bias(node: WeightedNode, kernel: StoredKernel, multiplier: np.ndarray | None = None) -> np.ndarray | None:
    """The bias that is to be added to sums of a stored kernel by inputs as they are, their zero included.

    Args:
        node: The node.
        kernel: Its kernel.
        multiplier: The values of the multiplier, as they are stored; that of `kernel` unless told.
    """
    if not node.zero:
        return node.bias
    factors = kernel.multiplier if multiplier is None else multiplier
    sums = kernel.data.reshape(len(kernel.data), -1).sum(axis=1, dtype=np.float64) * 2.0 ** -(kernel.format.frac_bits or 0)
    return (0.0 if node.bias is None else node.bias) - node.zero * sums * (1.0 if factors is None else factors)


def largest_of(values: np.ndarray) -> float:
    """The largest magnitude."""
    return max(-float(np.min(values)), float(np.max(values)))


def _kernel_and_multiplier(node: KernelNode, format_: QFormat) -> tuple[np.ndarray, np.ndarray | None]:
    """The values that `format_` is to hold, and what is multiplied by afterwards.

    The scale of a BatchNorm stays beside kernels that `format_` holds as they are, and beside signs with their magnitudes;
    all other kernels take it in. A table of rows has none.
    """
    if not isinstance(node, WeightedNode):
        return node.kernel, None
    if format_.is_sign:
        scale = binary_scale(node.kernel)
        assert scale is not None
        multiplier = scale if node.multiplier is None else scale * node.multiplier
        return node.kernel, None if np.all(multiplier == 1) else multiplier
    if format_.is_fixed and holds(format_, node.kernel):
        return node.kernel, node.multiplier
    return folded_kernel(node), None


def folded_kernel(node: KernelNode) -> np.ndarray:
    """The kernel with its multiplier folded in, float64; as it is (float32) where there is none."""
    if not isinstance(node, WeightedNode) or node.multiplier is None:
        return node.kernel
    return node.kernel * node.multiplier.reshape(-1, *(1,) * (node.kernel.ndim - 1))


def automatic_kernel(node: KernelNode, criterion: ranges.Criterion = ranges.Criterion.MSE, bits: int = 8) -> Choice:
    """SIGN where the kernel is binary, its own grid where it has one of at most 2, 4, 8 or 16 bits, else of `bits` bits.

    A kernel of one weight per output channel (a scaling that stands alone) gets 16 bits: it is small, and all that follows
    depends on it.
    """
    if isinstance(node, Gather):
        return _automatic_table(node, criterion, bits)
    assert isinstance(node, WeightedNode)
    if node.rounded is not None:
        return Choice(node.rounded, Reason.CHANNELS)
    if binary_scale(node.kernel) is not None:
        return Choice(SIGN, Reason.BINARY)
    # What only moves values (a crop, a selection of channels) saves little by few bits, and firmware would link one more kernel.
    grid = grid_of(node.kernel, (8, 16) if only_moves(node.kernel) else (2, 4, 8, 16))
    if grid is not None:
        return Choice(grid, Reason.TERNARY if grid.bits == 2 and ternary_scale(node.kernel) is not None else Reason.GRID)
    family = FIXED16 if node.kernel.size == len(node.kernel) else fixed(bits)
    reason = Reason.UNSATURATED if criterion is ranges.Criterion.MINMAX else Reason.ERROR
    return Choice(best_kernel_format(family, node, criterion), reason)


def _automatic_table(node: Gather, criterion: ranges.Criterion, bits: int) -> Choice:
    """Of rows that are stored as they are: of 8 and 16 bits unsigned where none is negative, which is a bit more for them."""
    if np.all(np.abs(node.kernel) == 1):
        return Choice(SIGN, Reason.BINARY)
    grid = grid_of(node.kernel)
    if grid is not None:
        return Choice(grid, Reason.GRID)
    if node.format is not None and node.format.family in GATHERED:  # rounded once, as in training
        return Choice(node.format, Reason.QUANTIZER)
    family = fixed(bits, signed=bits < 8 or bool(np.min(node.kernel) < 0))
    reason = Reason.UNSATURATED if criterion is ranges.Criterion.MINMAX else Reason.ERROR
    return Choice(best_kernel_format(family, node, criterion), reason)


def best_kernel_format(family: QFormat, node: KernelNode, criterion: ranges.Criterion = ranges.Criterion.MSE) -> QFormat:
    """The member of `family` that the kernel fits best: its own grid where the family has it."""
    grid = grid_of(node.kernel, (family.bits,))
    if grid is not None and grid.kind is family.kind:
        return grid
    return ranges.best_for_values(family, folded_kernel(node), criterion)
