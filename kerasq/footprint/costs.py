"""What kernels take on a microcontroller, in bytes, instructions and cycles.

    stack      the most bytes that preparing and invoking a network took
    state      bytes of the network itself, of a tensor, of an operator
    code       parts of the runtime: bytes of code and constants, and the kernels any of which needs them (none: every network)
    kernels    weights of features (features.py) whose sum is the instructions or cycles of an operator

Each processor has a table in tables/; examples/cortex_m/fit.py writes them.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import json
from collections.abc import Iterable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Costs:
    """The table of a processor."""

    stack: Mapping[str, int]
    state: Mapping[str, int]
    code: list[dict[str, Any]]
    kernels: Mapping[str, Mapping[str, Mapping[str, float]]]

    def state_bytes(self, tensors: int, operators: int) -> int:
        """KQ_STATE_BYTES of kerasq.h."""
        size = self.state["network"] + tensors * self.state["tensor"] + operators * self.state["operator"]
        return (size + 31) // 8 * 8

    def flash(self, kernels: Iterable[str]) -> tuple[int, int]:
        """Bytes of code and of constants of the runtime with some kernels."""
        wanted = set(kernels)
        parts = [part for part in self.code if not part["kernels"] or wanted & set(part["kernels"])]
        return sum(part["code"] for part in parts), sum(part["constants"] for part in parts)

    def has_code_of(self, kernel: str) -> bool:
        return any(kernel in part["kernels"] for part in self.code)

    def estimate(self, kernel: str, what: str, features: Mapping[str, float]) -> int | None:
        """Instructions or cycles of an operator; `None` for a kernel that is not in the table."""
        weights = self.kernels.get(kernel, {}).get(what)
        return None if weights is None else round(sum(weight * features[name] for name, weight in weights.items()))


@functools.cache
def costs_of(name: str) -> Costs:
    """The table tables/NAME.json."""
    text = importlib.resources.files(__package__).joinpath("tables", f"{name}.json").read_text()
    return Costs(**json.loads(text))
