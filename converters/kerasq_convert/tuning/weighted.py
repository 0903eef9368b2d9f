"""A weighted operator as learning sees it: rows of integers, in groups of channels, each with its step."""

from __future__ import annotations

import dataclasses

import numpy as np

from kerasq import ops
from kerasq.format.model import Model, Operator, OperatorKind, Tensor


@dataclasses.dataclass(frozen=True)
class Weighted:
    """The constants of a CONV_2D or DENSE; arrays begin with (groups, output channels of a group)."""

    operator: Operator
    kernel: Tensor
    multiplier: Tensor | None
    bias: Tensor | None

    @classmethod
    def of(cls, model: Model, operator: Operator) -> Weighted | None:
        """`None` of an operator without a kernel."""
        kernel, multiplier, bias = (ops.operand(model, operator, name) for name in ("kernel", "multiplier", "bias"))
        return None if kernel is None else cls(operator, kernel, multiplier, bias)

    @property
    def groups(self) -> int:
        return self.operator.groups if self.operator.kind is OperatorKind.CONV_2D else 1

    @property
    def integers(self) -> np.ndarray:
        """The stored kernel, a row for each output channel, float64."""
        return self.grouped(stored(self.kernel).reshape(len(stored(self.kernel)), -1)).astype(np.float64)

    @property
    def scale(self) -> np.ndarray:
        """The stored multiplier, float64; zero where it is too small for its format. Ones where there is none."""
        return self.grouped(np.ones(self.kernel.shape[0]) if self.multiplier is None else stored(self.multiplier) * 1.0)

    @property
    def unit(self) -> float:
        """The real value of an integer of the kernel at a stored multiplier of one."""
        return self.kernel.format.step * (1.0 if self.multiplier is None else self.multiplier.format.step)

    def storable(self, scale: np.ndarray) -> np.ndarray:
        """The stored multipliers nearest to these; those that are zero stay so, and others don't become zero."""
        assert self.multiplier is not None
        format_ = self.multiplier.format
        sign = np.where(scale < 0, -1.0, 1.0)
        nearest = sign * np.maximum(np.abs(np.rint(scale)), 1.0)
        return np.where(self.scale == 0, 0.0, np.clip(nearest, format_.min_int, format_.max_int))

    @property
    def weights(self) -> np.ndarray:
        """The real values, multipliers taken in; of a kernel in FLOAT32, too."""
        scale = np.ones(self.kernel.shape[0]) if self.multiplier is None else self.multiplier.values
        return self.grouped(self.kernel.values.reshape(len(scale), -1) * scale[:, None])

    def grouped(self, values: np.ndarray) -> np.ndarray:
        """What begins with output channels, in groups."""
        return values.reshape(self.groups, -1, *values.shape[1:])


def stored(constant: Tensor) -> np.ndarray:
    """The stored values of a constant."""
    assert constant.data is not None
    return constant.data
