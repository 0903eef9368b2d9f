"""All quantizers of `kerasq.quantizers`, as that package lists them, and one of a user's own."""

import dataclasses
import inspect

import keras

import kerasq
from kerasq import quantizers
from kerasq.quantizers.straight_through import FINE_GRAINED, IDENTITY


@keras.saving.register_keras_serializable("kerasq_tests")
@dataclasses.dataclass(frozen=True)
class Halves(quantizers.Quantizer):
    """A quantizer of a user's own, as the docstring of `Quantizer` has it: -1, -1/2, 0, 1/2, 1."""

    straight_through: str = "identity"

    def quantize(self, x, training, seed):
        return keras.ops.floor(keras.ops.clip(x, -1.0, 1.0) * 2.0 + 0.5) / 2.0

    def outside(self, x):
        return keras.ops.abs(x) > 1.0

    def spec(self):
        return kerasq.QFormat.parse("FIXED4_1")


_LISTED = [getattr(quantizers, name) for name in quantizers.__all__]
PUBLISHED = [value for value in _LISTED if inspect.isclass(value) and not inspect.isabstract(value)]
CLASSES = [*PUBLISHED, Halves]
OF_KERNELS = [quantizer for quantizer in CLASSES if quantizer is not quantizers.ClippedActivation]


def plain(quantizer, values):
    """The quantizer without a state whose format stores what `quantizer` makes of these values."""
    if not isinstance(quantizer, quantizers.StatefulQuantizer):
        return quantizer
    return quantizer.at(quantizer.initial_state(keras.ops.convert_to_tensor(values)))


def changed(quantizer):
    """An instance no argument of which has its default."""
    arguments = {}
    for field in dataclasses.fields(quantizer):
        value = field.default
        if value is None:
            arguments[field.name] = 2
            continue
        words = [FINE_GRAINED, IDENTITY, "max", "mse"]
        candidates = words if isinstance(value, str) else [not value, -value, value - 1, value / 2]
        arguments[field.name] = next(other for other in candidates if other != value and _accepts(quantizer, field.name, other))
    return quantizer(**arguments)


def _accepts(quantizer, name, value):
    try:
        quantizer(**{name: value})
    except ValueError:
        return False
    return type(value) is type(getattr(quantizer(), name))
