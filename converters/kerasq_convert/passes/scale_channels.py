"""Every output channel of a kernel gets the full range of its bits; the multiplier gives back its size.

A tensor has one format, and where channels differ in size (depthwise kernels, kernels that took in a BatchNorm) the small ones
keep few of its bits. With w = r·w', one r per output channel, x·w = (x·w')·r: the runtime's multiplier costs two bytes per
channel and one multiplication per output. Whether that pays is measured: `scale_channels` can leave alone the kernels that
would gain little. Beside a thousand weights and more per channel it costs nothing to speak of, and less is enough: even where
channels are alike, a power of two as the step leaves up to a bit of the range unused.

With fewer bits than 8 saturating the largest weights gains more. A channel's scale is that with the least squared error, down to
where its largest weight is at 1 / LEAST_SHRINK of the range, and of either sign, as there is one negative level more than there
are positive ones.

Weights of full range are slower where a processor adds the products of two neighbours in 16 bits (vpmaddubsw of AVX2): any two
of at most PAIR together can't overflow there. *Narrow* kernels have a scale that keeps all pairs below, and a bit less precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from kerasq.qformat import QFormat, fixed
from kerasq_convert.formats import ranges
from kerasq_convert.formats.choice import KERNEL_BITS
from kerasq_convert.formats.kernels import binary_scale, grid_of
from kerasq_convert.formats.weights import automatic_kernel, folded_kernel, largest_of
from kerasq_convert.graph import Convolution, Graph, KernelNode, Node, WeightedNode, replace

FORMAT = fixed(8, 7)
FORMATS = {bits: fixed(bits, bits - 1) for bits in KERNEL_BITS if bits <= FORMAT.bits}  # of scaled kernels, by their bits
WORTHWHILE_DB = 6.0  # a bit: what a multiplier has to gain where nobody asked for it
LONG = 1024  # weights of a channel, so that its multiplier costs a 500th of their bytes; of longer ones less has to be gained
_BLOCK = 1 << 18  # weights that are looked at together
PAIR = 128  # |w0| + |w1|, as stored, times 255 and in 16 bits
SHRINKS = np.linspace(1.0, 0.7, 13)  # of the range, that a row's largest weights may be saturated to
LEAST_SHRINK = 1 / 8  # the same with fewer bits than 8


def scale_channels(
    graph: Graph,
    least_gain_db: float = -np.inf,
    allowed: Callable[[WeightedNode], bool] = lambda _: True,
    narrow: Callable[[WeightedNode], bool] = lambda _: False,
    format_of: Callable[[WeightedNode], QFormat] = lambda _: FORMAT,
) -> Graph:
    """Kernels that are free of any grid, rounded to FIXED8_7 channel by channel, with the channels' sizes as multipliers.

    This rewrite quantizes: it changes the network's function by the rounding of its kernels.

    Args:
        graph: The network.
        least_gain_db: Kernels whose channels would gain less, in signal-to-noise ratio, stay as they are. Of channels with more
            than LONG weights that is less in proportion.
        allowed: Which nodes may be changed at all.
        narrow: Which of those that are changed get narrow kernels; they have 8 bits.
        format_of: One of FORMATS for each node, where that is not to be FIXED8_7.
    """

    def rewritten(node: Node) -> Node:
        if isinstance(node, WeightedNode) and is_free(node) and allowed(node):
            return _scaled_if_worth(node, least_gain_db, pair_run(node) if narrow(node) else None, format_of(node))
        return node

    return graph.with_nodes(rewritten(node) for node in graph.nodes)


def is_free(node: Node) -> bool:
    """Whether a node has a kernel that quantization changes: neither binary nor on a grid, nor one weight per channel."""
    if not isinstance(node, KernelNode) or node.kernel.size == len(node.kernel):
        return False
    return binary_scale(node.kernel) is None and grid_of(node.kernel, (8, 16)) is None


def pair_run(node: WeightedNode) -> int | None:
    """How many weights of an output channel are multiplied by neighbouring inputs, two by two; `None` where none are."""
    if not isinstance(node, Convolution):
        return node.kernel[0].size
    _, _, width, inputs = node.kernel.shape
    if inputs == 1 and node.groups > 1:
        return None  # depthwise
    return width * inputs if node.groups == 1 and node.dilations[1] == 1 else inputs


def largest_pairs(rows: np.ndarray, run: int) -> np.ndarray:
    """The largest |w0| + |w1| of every row, whose weights are paired in runs: the first and second, third and fourth, ..."""
    runs = np.abs(rows).reshape(len(rows), -1, run)
    even, odd = runs[:, :, 0::2], runs[:, :, 1::2]
    sums = even.copy()
    sums[:, :, : odd.shape[2]] += odd
    return sums.max(axis=(1, 2))


def _scaled_if_worth(node: WeightedNode, least_gain_db: float, run: int | None, format_: QFormat) -> WeightedNode:
    if ranges.exceeds(format_, largest_of(folded_kernel(node))):
        return node  # refused where it is written, by its name
    together = automatic_kernel(node, bits=format_.bits).format
    scaled = np.empty_like(node.kernel, np.float32)
    scales, plain, apart = [], 0.0, 0.0
    for rows, places in _blocks(node, scaled):
        values, scale = _scaled(rows, format_)
        plain += _noise(rows, together.dequantize(together.quantize(rows), np.float64))
        apart += _noise(rows, values * scale[:, None])
        if run is not None:
            values, scale = _scaled(rows, format_, largest_pairs(rows, run) * PAIR / (PAIR - 1))  # rounding adds a half, twice
        places[:] = values
        scales.append(scale)
    least_gain_db *= min(1.0, LONG * len(node.kernel) / node.kernel.size)
    if plain <= apart * 10 ** (least_gain_db / 10):
        return node
    return replace(node, kernel=scaled, multiplier=np.concatenate(scales), rounded=format_)


def _blocks(node: WeightedNode, scaled: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some output channels of the folded kernel at a time, float64, one a row, with their places in `scaled`."""
    rows, places = node.kernel.reshape(len(node.kernel), -1), scaled.reshape(len(node.kernel), -1)
    step = max(1, _BLOCK // rows.shape[1])
    for start in range(0, len(rows), step):
        chosen = slice(start, start + step)
        factors = 1.0 if node.multiplier is None else node.multiplier[chosen, None]
        yield rows[chosen].astype(np.float64) * factors, places[chosen]


def _noise(rows: np.ndarray, rounded: np.ndarray) -> float:
    """Noise : signal, summed over channels: the small ones count as much, for what follows may scale them up again."""
    signal = np.sum(rows**2, axis=1)
    noise = np.sum((rounded - rows) ** 2, axis=1)
    return float(np.sum(noise[signal > 0] / signal[signal > 0]))


def _scaled(rows: np.ndarray, format_: QFormat, least: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Rows rounded to a format, and the scale of each that gives back its size, at least `least`."""
    largest = np.max(np.abs(rows), axis=1)
    largest[largest == 0] = 1.0
    best, error, chosen = np.zeros_like(rows), np.full(len(rows), np.inf), largest
    for shrink in _shrinks(format_):
        scale = np.maximum(shrink * largest / format_.max, least) if shrink > 0 else shrink * largest / format_.max
        values = format_.dequantize(format_.quantize(rows / scale[:, None]), np.float64)
        noise = np.sum((values * scale[:, None] - rows) ** 2, axis=1)
        better = noise < error
        best[better], error[better] = values[better], noise[better]
        chosen = np.where(better, scale, chosen)
    return best, chosen if format_.bits == FORMAT.bits else _fitted(rows, best, chosen)


def _fitted(rows: np.ndarray, values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The scales with the least squared error for these values, near `scale`: rows · values / values · values."""
    power = np.sum(values**2, axis=1)
    return np.where(power > 0, np.sum(rows * values, axis=1) / np.where(power > 0, power, 1.0), scale)


def _shrinks(format_: QFormat) -> np.ndarray:
    """Of the range, what a row's largest weights may be saturated to, those that saturate least first; negative: mirrored.

    The fewer levels there are, the coarser are steps beside what saturates. The mirrored range reaches a step further on the side
    of positive weights.
    """
    if format_.bits == FORMAT.bits:
        return SHRINKS
    sizes = np.geomspace(1.0, LEAST_SHRINK, 43)  # 5 % apart
    return np.stack([sizes, -sizes], axis=1).ravel()
