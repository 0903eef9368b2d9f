"""Quantizers with parameters that training changes: a layer keeps them, the quantizer stays the immutable rule."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from keras import ops

from kerasq.qformat import QFormat
from kerasq.quantizers.base import Quantizer
from kerasq.quantizers.straight_through import FINE_GRAINED, straight_through

State = dict[str, Any]


class StatefulQuantizer(Quantizer):
    """A quantizer whose values follow from a few parameters, its state, too.

    One object can so be used in many layers, each of which has a state of its own: `layer.kernel_state` and `layer.bias_state`
    of a layer with a kernel, `layer.state` of `kerasq.layers.Quantize`. Called without a state, the quantizer takes the one that
    it would begin with for these values.

    Attributes:
        trains_state: Whether the optimizer moves the state; if not, `next_state` says how it follows the data.
    """

    trains_state: ClassVar[bool] = True

    @abc.abstractmethod
    def state_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter, for values with so many channels."""

    @abc.abstractmethod
    def initial_state(self, x: Any) -> State:
        """The parameters to begin with for values like `x`, float32 or float64."""

    @abc.abstractmethod
    def at(self, state: State) -> Quantizer:
        """A quantizer without a state whose format stores the values; `state` is not symbolic."""

    @abc.abstractmethod
    def quantize_at(self, x: Any, state: State) -> Any:
        """The forward value of q; its gradient is not used."""

    @abc.abstractmethod
    def outside_at(self, x: Any, state: State) -> Any:
        """Boolean tensor: where the fine-grained straight-through estimator passes no gradient to `x`."""

    def alpha_at(self, state: State) -> Any:
        """`alpha` with these parameters, shape `(channels,)`; `None` where values have no factor."""
        return None

    def gradient_carrier(self, x: Any, state: State) -> Any:
        """A tensor of the shape of `x` and of any finite value whose gradient with respect to the state is that of q.

        Its gradient with respect to `x` must be 0. Only where `trains_state`.
        """
        return 0.0

    def next_state(self, x: Any, state: State) -> State:
        """The parameters after a training step that saw `x`, where no optimizer moves them."""
        return state

    def with_gradient(self, x: Any, training: bool | None, seed: Any, state: State | None) -> Any:
        if state is None:
            state = {name: ops.stop_gradient(value) for name, value in self.initial_state(x).items()}
        state = {name: ops.cast(value, x.dtype) for name, value in state.items()}
        carrier = ops.where(self.outside_at(x, state), 0.0, x) if self.straight_through == FINE_GRAINED else x
        return straight_through(self.quantize_at(x, state), carrier + self.gradient_carrier(x, state))

    def quantize(self, x: Any, training: bool | None, seed: Any) -> Any:
        return self.quantize_at(x, self.initial_state(x))

    def outside(self, x: Any) -> Any:
        return self.outside_at(x, self.initial_state(x))

    def spec(self) -> QFormat:
        raise ValueError(
            f"{type(self).__name__} has a format by its state only: `quantizer.at(state).spec()`, or the `kernel_format` or "
            "`output_format` of a built layer."
        )
