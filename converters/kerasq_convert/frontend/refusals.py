"""What can't be converted, one line for each layer: its name, the reason, and a remedy."""

from __future__ import annotations

import re

from kerasq_convert.frontend.foldable import is_random

RANDOM = (
    "it draws random numbers, as augmentation does in training, and model.export writes it so: convert the model itself or its "
    ".keras file, where layers that do nothing in inference are left out, or export without it"
)

# Operations that tell what a layer of many operations is, and what to do about it; the first that a layer has decides.
_TELLING = {
    "Enter|While|StatelessWhile|TensorListReserve": (
        "a loop over time steps (LSTM, GRU, RNN) is not supported: use Conv1D, dilated for a longer memory"
    ),
    "Einsum|BatchMatMulV2": "products of activations (attention, Dot) are not supported: use convolutions",
    "SquaredDifference|Rsqrt": (
        "normalization by an example's own statistics (LayerNormalization, GroupNormalization, UnitNormalization) is not "
        "supported: use BatchNormalization"
    ),
    "GatherV2|ResourceGather": (
        "a table look-up (Embedding) is not supported: do it before the network, which then reads vectors"
    ),
    "ResizeBilinear|ResizeBicubic|ResizeNearestNeighbor": (
        "resizing is not supported: use UpSampling2D(interpolation='nearest'), or do it before the network"
    ),
}

_HINTS = {
    "LogSoftmax": ": leave the logarithm to the code that reads the outputs",
    "Split": " (glu): use two layers and Multiply",
    "SplitV": ": use Cropping, or two layers",
}


class Refusals:
    """The unsupported operations of a network, in its order, gathered by layer."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._kinds: dict[str, list[str]] = {}

    def add(self, layer: str, kind: str, reason: str) -> None:
        """An operation of this kind, of this layer, can't be converted."""
        self._reasons.setdefault(layer, reason)
        self._kinds.setdefault(layer, []).append(kind)

    def lines(self) -> list[str]:
        """One line for each layer: what its operations tell together, or what the first of them lacks."""
        return [f"layer {layer!r}: {self._told(layer) or reason}" for layer, reason in self._reasons.items()]

    def _told(self, layer: str) -> str | None:
        kinds = self._kinds[layer]
        if any(map(is_random, kinds)):
            return RANDOM
        return next((reason for telling, reason in _TELLING.items() if any(re.fullmatch(telling, kind) for kind in kinds)), None)


def hint(kind: str) -> str:
    """A remedy for an operation that is not supported, or nothing."""
    return _HINTS.get(kind, "")
