"""What can't be converted, one line for each layer or function: its name, the reason, and a remedy."""

from __future__ import annotations

import dataclasses

from kerasq_convert.frontend.foldable import is_random
from kerasq_convert.frontend.origins import Origin, Origins, without_calls
from kerasq_convert.frontend.reasons import GENERAL_REMEDY, reason_by_class, reason_by_operations, reason_of_quantization


@dataclasses.dataclass
class _Refused:
    """What was refused of one layer or function: the types of its operations, and the first reason."""

    origin: Origin | None
    reason: str
    kinds: list[str]
    is_consequence: bool


class Refusals:
    """The unsupported operations of a network, in its order, gathered by layer.

    Args:
        origins: What is known of the Keras model behind the graph.
    """

    def __init__(self, origins: Origins):
        self._origins = origins
        self._refused: dict[str, _Refused] = {}

    def __bool__(self) -> bool:
        return bool(self._refused)

    def add(self, layer: str, name: str, kind: str, reason: str, *, is_consequence: bool = False) -> None:
        """An operation can't be converted.

        Args:
            layer: Path of its layer, as the scopes of the graph tell; empty outside of any.
            name: Its own name.
            kind: Its type.
            reason: What it lacks.
            is_consequence: Whether it may only lack what an operation before it, refused already, did not give.
        """
        origins = self._origins.of(name)
        # What a recurrent or an attention layer is made of is no news beside it.
        origin = next((outer for outer in origins if reason_by_class(outer.kind)), origins[-1] if origins else None)
        subject = origin.subject if origin else _subject(layer, name, kind)
        refused = self._refused.setdefault(subject, _Refused(origin, reason, [], is_consequence))
        if refused.is_consequence and not is_consequence:
            refused.reason, refused.is_consequence = reason, False
        if not is_consequence:
            refused.kinds.append(kind)

    def lines(self) -> list[str]:
        """One line for each: what its class or its operations tell together, or what the first of them lacks."""
        lines = []
        for subject, refused in self._refused.items():
            told = _told(refused)
            if told is None and refused.is_consequence:
                continue
            reason = told or refused.reason
            lines.append(f"{subject}: {reason}" + ("" if ": " in reason else f": {GENERAL_REMEDY}"))
        return lines


def _subject(layer: str, name: str, kind: str) -> str:
    """What messages call an operation of which only the graph knows."""
    return f"layer {layer!r}" if layer else f"operation {without_calls(name)!r} ({kind})"


def _told(refused: _Refused) -> str | None:
    told = reason_by_operations(refused.kinds)
    if refused.origin is None:
        return told
    if any(map(is_random, refused.kinds)):
        return told
    if refused.origin.quantized:
        return reason_of_quantization(refused.origin.quantized)
    return reason_by_class(refused.origin.kind) or told
