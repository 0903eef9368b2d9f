"""What all quantizers have in common: exact forward values, a straight-through gradient, a config."""

from __future__ import annotations

import abc
from typing import Any

import keras
from keras import ops

from kerasq.qformat import QFormat
from kerasq.quantizers.straight_through import FINE_GRAINED, straight_through


class Quantizer(abc.ABC):
    """A function with a few output values and a pseudo-gradient. Subclasses are frozen dataclasses of plain values.

    A subclass has the field `straight_through` and defines `quantize`, `outside` and `spec`.
    """

    straight_through: str

    def __call__(self, inputs: Any, training: bool | None = None, seed: Any = None) -> Any:
        """Quantized `inputs`.

        Args:
            inputs: Float tensor or `keras.Variable` of any shape. What is not float64 is quantized in float32.
            training: Whether random decisions may be taken; only stochastic quantizers look at it.
            seed: `keras.random.SeedGenerator` for a stochastic quantizer (an integer would draw the same numbers at
                every call). Layers own the generator: quantizers have no state.

        Returns:
            Tensor of the same shape and dtype (float32 for integer inputs).
        """
        inputs = ops.convert_to_tensor(inputs)
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        x = inputs if dtype == "float64" else ops.cast(inputs, "float32")
        quantized = self.quantize(x, training, seed)
        outside = self.outside(x) if self.straight_through == FINE_GRAINED else None
        outputs = straight_through(quantized, x, outside)
        return ops.cast(outputs, dtype) if "float" in dtype else outputs

    @abc.abstractmethod
    def quantize(self, x: Any, training: bool | None, seed: Any) -> Any:
        """The forward value of q for a float32 or float64 tensor; its gradient is not used."""

    @abc.abstractmethod
    def outside(self, x: Any) -> Any:
        """Boolean tensor: where the fine-grained straight-through estimator passes no gradient."""

    @abc.abstractmethod
    def spec(self) -> QFormat:
        """The format that stores the quantized values."""

    def get_config(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Quantizer:
        return cls(**config)


def raise_problems(owner: object, problems: list[str]) -> None:
    """One ValueError that lists all `problems`, if there are any."""
    if problems:
        raise ValueError(f"{type(owner).__name__}: " + " ".join(problems))
