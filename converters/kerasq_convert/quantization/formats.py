"""The formats of a model's quantizers: the converter's own choice, for what the network stores."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from kerasq.qformat import QFormat, fixed
from kerasq.quantizers import FixedPoint
from kerasq.statistics import Statistics
from kerasq_convert import roles
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats.choice import Choice, Policy, Reason
from kerasq_convert.formats.choosing import choose_formats
from kerasq_convert.formats.ranges import Criterion
from kerasq_convert.graph import WeightedNode
from kerasq_convert.observation.observed import by_buffer
from kerasq_convert.quantization.calls import Site
from kerasq_convert.quantization.placement import Placement
from kerasq_convert.settings import Settings


@dataclasses.dataclass(frozen=True)
class Quantizers:
    """Of a model.

    Attributes:
        activations: The quantizer of every site; none for values that the settings leave in FLOAT32.
        biases: That of the bias of every layer whose sums have no multiplier, by the layer's path: what a file adds is on the
            grid of the sum, which is that of the input and the kernel.
    """

    activations: dict[Site, FixedPoint]
    biases: dict[str, FixedPoint]


def choose_quantizers(
    placement: Placement,
    statistics: Statistics,
    settings: Settings,
    bits: int,
    criterion: Criterion,
    positions: Mapping[str, int | None],
) -> Quantizers:
    """The quantizers of a model's activations and biases.

    Args:
        placement: The sites.
        statistics: What was observed of the model's values.
        settings: Formats that go before what would be chosen.
        bits: Width of the others, 2..16.
        criterion: How their fractional bits are chosen.
        positions: Fractional bits of the kernels that are in fixed point, by the path of their layers.

    Raises:
        ConversionError: The settings name what there is not, or values are not finite.
    """
    network = placement.network
    known = by_buffer(network.graph, network.names, statistics)
    width = 8 if bits <= 8 else 16
    chosen = choose_formats(network.graph, network.names, settings, known, Policy(criterion, width)).buffers
    quantizers = {}
    for site, values in placement.values.items():
        choices = [chosen[roles.buffer(value)] for value in values]
        if choices and not any(choice.format.is_float for choice in choices):
            quantizers[site] = _quantizer(_widest(choices), bits, width)
    biases: dict[str, FixedPoint] = {}
    for node in network.graph.nodes:
        if not isinstance(node, WeightedNode) or node.bias is None or node.multiplier is not None:
            continue
        position, read = positions.get(node.layer), chosen[roles.buffer(node.inputs[0])]
        if position is not None and read.format.is_fixed:
            bias = _bias_quantizer(node.bias, _quantizer(read, bits, width).frac_bits + position)
            biases[node.layer] = min(bias, biases.get(node.layer, bias), key=lambda quantizer: quantizer.frac_bits)
    return Quantizers(quantizers, biases)


def _bias_quantizer(bias: np.ndarray, most: int) -> FixedPoint:
    """Sixteen bits with room for twice the largest magnitude, and at most so many of them fractional."""
    reach = 2 * float(np.max(np.abs(bias))) or 1.0
    finest = fixed(16).finest(-reach, reach)
    return FixedPoint(16, min(most, most if finest is None else finest), straight_through="identity")


def _widest(choices: list[Choice]) -> Choice:
    """What holds the values of all uses of a shared model's site: the coarsest of their formats, signed if one is."""
    coarsest = min(choices, key=lambda choice: choice.format.frac_bits or 0)
    signed = [choice for choice in choices if choice.format.signed]
    if coarsest.format.signed or not signed:
        return coarsest
    return min(signed, key=lambda choice: choice.format.frac_bits or 0)


def _quantizer(choice: Choice, bits: int, width: int) -> FixedPoint:
    """A format as a quantizer. One of fewer bits than a file's narrowest has the range of that, in coarser steps."""
    format_: QFormat = choice.format
    if format_.frac_bits is None:
        raise ConversionError("the settings", [f"{format_} has no number of fractional bits"])
    if choice.reason is Reason.SETTINGS:
        return FixedPoint(format_.bits, format_.frac_bits, format_.signed)
    return FixedPoint(bits, format_.frac_bits - (width - bits), format_.signed)
