"""What all quantizers have in common: exact forward values, a straight-through gradient, a config."""

from __future__ import annotations

import abc
import numbers
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from kerasq.qformat import QFormat, fixed
from kerasq.quantizers.straight_through import (
    IDENTITY,
    MAGNITUDE_AWARE,
    STRAIGHT_THROUGH,
    straight_through,
    straight_through_problems,
)


class Quantizer(abc.ABC):
    """A function with a few output values and a pseudo-gradient, which every layer of `kerasq.layers` takes.

    A quantizer of one's own is a frozen dataclass of plain values that derives from this class, defines `quantize`, `outside`
    and `spec`, and is registered with Keras, so that layers with it are saved:

        @keras.saving.register_keras_serializable("mine")
        @dataclasses.dataclass(frozen=True)
        class Halves(kerasq.quantizers.Quantizer):
            straight_through: str = "identity"

            def quantize(self, x, training, seed):
                return keras.ops.floor(keras.ops.clip(x, -1.0, 1.0) * 2.0 + 0.5) / 2.0

            def outside(self, x):
                return keras.ops.abs(x) > 1.0

            def spec(self):
                return kerasq.QFormat.parse("FIXED4_1")

    A kernel comes to a quantizer with its output channels on the last axis, whatever the layer.

    Attributes:
        straight_through: `"identity"` or `"fine_grained"`, or what else `straight_through_choices` has (`kerasq.quantizers` has
            the formulas).
        stochastic: Whether it draws random numbers in training: a layer then has a `keras.random.SeedGenerator` for it.
    """

    straight_through: str = IDENTITY
    straight_through_choices: ClassVar[tuple[str, ...]] = STRAIGHT_THROUGH
    stochastic: bool = False

    def __post_init__(self) -> None:  # called by the `__init__` of a dataclass
        wrong = straight_through_problems(self.straight_through, self.straight_through_choices)
        raise_problems(self, self.problems() + wrong)
        for name, value in vars(self).items():
            if isinstance(value, np.integer):
                object.__setattr__(self, name, int(value))  # a NumPy integer would not serialize

    def problems(self) -> list[str]:
        """What is wrong with the arguments of a subclass, a sentence for each: for it to override."""
        return []

    def __call__(self, inputs: Any, training: bool | None = None, seed: Any = None, state: dict[str, Any] | None = None) -> Any:
        """Quantized `inputs`.

        Args:
            inputs: Float tensor or `keras.Variable` of any shape. What is not float64 is quantized in float32.
            training: Whether random decisions may be taken; only stochastic quantizers look at it.
            seed: `keras.random.SeedGenerator` for a stochastic quantizer (an integer would draw the same numbers at
                every call). Layers own the generator.
            state: Parameters of a quantizer that has any (`StatefulQuantizer`), by name; layers own them, too.

        Returns:
            Tensor of the same shape and dtype (float32 for integer inputs).
        """
        inputs = ops.convert_to_tensor(inputs)
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        x = inputs if dtype == "float64" else ops.cast(inputs, "float32")
        outputs = self.with_gradient(x, training, seed, state)
        return ops.cast(outputs, dtype) if "float" in dtype else outputs

    def with_gradient(self, x: Any, training: bool | None, seed: Any, state: dict[str, Any] | None) -> Any:
        """The value of `quantize` with the gradient of the straight-through estimator; `x` is float32 or float64."""
        quantized = self.quantize(x, training, seed)
        outside = None if self.straight_through == IDENTITY else self.outside(x)
        carrier = x * ops.stop_gradient(self.alpha(x)) if self.straight_through == MAGNITUDE_AWARE else x
        return straight_through(quantized, carrier, outside)

    @abc.abstractmethod
    def quantize(self, x: Any, training: bool | None, seed: Any) -> Any:
        """The forward value of q for a float32 or float64 tensor; its gradient is not used."""

    @abc.abstractmethod
    def outside(self, x: Any) -> Any:
        """Boolean tensor: where the fine-grained straight-through estimator passes no gradient."""

    @abc.abstractmethod
    def spec(self) -> QFormat:
        """The format that stores the quantized values, up to the factor `alpha`."""

    def alpha(self, weights: Any) -> Any:
        """What the values of `spec` are multiplied by in each output channel, shape `(channels,)`; `None`: by nothing.

        A quantizer with an alpha is for kernels: the factors become part of a per-channel multiplier.
        """
        return None

    def get_config(self) -> dict[str, Any]:
        return dict(vars(self))

    def constant_spec(self) -> QFormat:
        """The format of a kernel or bias so quantized. A file's constants are signed: unsigned values need a bit more."""
        spec = self.spec()
        return spec if spec.signed else signed_format(spec.bits, spec.frac_bits)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Quantizer:
        return cls(**config)


def signed_format(magnitude_bits: int, frac_bits: int | None) -> QFormat:
    """The narrowest signed format of `frac_bits` whose magnitudes have `magnitude_bits` bits: one more holds the sign."""
    return fixed(next(width for width in (2, 4, 8, 16, 32) if width > magnitude_bits), frac_bits)


def boolean_problems(name: str, value: Any) -> list[str]:
    """What is wrong with an argument that must be a boolean: an empty list, or one sentence."""
    return [] if isinstance(value, bool) else [f"`{name}` must be a boolean. Received: {name}={value!r}"]


def is_number(value: Any) -> bool:
    """Whether it is a real number; a boolean is none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def integer_problems(name: str, value: Any, low: int, high: int) -> list[str]:
    """What is wrong with an argument that must be an integer of a range: an empty list, or one sentence."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and low <= value <= high:
        return []
    return [f"`{name}` must be an integer in [{low}, {high}]. Received: {name}={value!r}"]


def choice_problems(name: str, value: Any, choices: tuple[str, ...]) -> list[str]:
    """What is wrong with an argument that must be one of a few words: an empty list, or one sentence."""
    if isinstance(value, str) and value in choices:
        return []
    return [f"`{name}` must be one of {', '.join(map(repr, choices))}. Received: {name}={value!r}"]


def raise_problems(owner: object, problems: list[str]) -> None:
    """One ValueError that lists all `problems`, if there are any."""
    if problems:
        raise ValueError(f"{type(owner).__name__}: " + " ".join(problems))
