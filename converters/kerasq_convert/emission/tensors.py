"""The tensors of a model in the making, each with its role."""

from __future__ import annotations

import numpy as np

from kerasq.format import Tensor
from kerasq.qformat import QFormat
from kerasq_convert.formats import ranges
from kerasq_convert.formats.weights import StoredKernel, largest_of
from kerasq_convert.naming import Names, unique
from kerasq_convert.roles import Role


class Tensors:
    """Tensors in the order of the file, and what keeps some of them from being written.

    Args:
        names: Of the graph that they belong to.
    """

    def __init__(self, names: Names):
        self._names = names
        self._taken: set[str] = set()
        self._tensors: list[Tensor] = []
        self._roles: list[Role] = []
        self.problems: list[str] = []

    def __getitem__(self, index: int) -> Tensor:
        return self._tensors[index]

    def all(self) -> tuple[Tensor, ...]:
        return tuple(self._tensors)

    def roles(self) -> tuple[Role, ...]:
        """The role of each tensor."""
        return tuple(self._roles)

    def role(self, index: int) -> Role:
        return self._roles[index]

    def add(self, role: Role, shape: tuple[int, ...], format_: QFormat, data: np.ndarray | None = None) -> int:
        """Index of a new tensor: a constant with its stored values, or an activation without.

        Two sums that make an addend of one term make two tensors, which must not have one name.
        """
        self._tensors.append(Tensor(unique(self._names[role], self._taken), shape, format_, data=data))
        self._roles.append(role)
        return len(self._tensors) - 1

    def constant(self, role: Role, format_: QFormat, values: np.ndarray) -> int:
        """Index of a new constant with these values as the format holds them."""
        fits = self._fits(role, format_, largest_of(values))
        return self.add(role, values.shape, format_, format_.quantize(values if fits else np.zeros(values.shape)))

    def kernel(self, role: Role, kernel: StoredKernel) -> int:
        """Index of a new kernel."""
        fits = self._fits(role, kernel.format, kernel.largest)
        return self.add(role, kernel.data.shape, kernel.format, kernel.data if fits else np.zeros_like(kernel.data))

    def _fits(self, role: Role, format_: QFormat, largest: float) -> bool:
        """Whether the format's family holds a magnitude; if not, that is noted."""
        if not ranges.exceeds(format_, largest):
            return True
        self.problems.append(
            f"{self._names[role]}: its values reach {largest:.3g}, which no {format_.family} holds; "
            + ("the training diverged" if format_.is_float else "the training diverged, or give it FLOAT32 in the settings")
        )
        return False
