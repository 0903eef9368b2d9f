"""Every layer with a kernel, as data for the tests of this folder: a kind of layer is one entry of KINDS, its tests follow.

Quantizers are those of `kerasq.quantizers`, all of them, and one of a user's own (tests/quantizers/all_quantizers.py).
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import keras
import numpy as np

from kerasq import layers
from kerasq.quantizers import FixedPoint
from quantizers.all_quantizers import OF_KERNELS, changed

TENSORFLOW = keras.backend.backend() == "tensorflow"
to_numpy = keras.ops.convert_to_numpy


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of layer.

    Attributes:
        layer: The generic layer.
        keras_layer: The layer of Keras that it stands for.
        arguments: Those of a small instance, which has six output channels.
        shape: That of one example.
        variants: Other arguments: each changes some of `arguments`.
        without_bias: The argument that leaves the bias away.
        same_order: Whether sums are added up in the order in which Keras' layer does it.
        named: Forms of the layer with the arguments of one quantizer, by the name of the family.
    """

    layer: type
    keras_layer: type
    arguments: dict[str, Any]
    shape: tuple[int, ...]
    variants: list[dict[str, Any]]
    without_bias: dict[str, Any] = dataclasses.field(default_factory=lambda: {"use_bias": False})
    same_order: bool = True
    named: dict[str, type] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return self.layer.__name__


LARGE = keras.initializers.RandomUniform(-1, 1, seed=3)  # no kernel between two layers may be all zeros: nothing would train
KINDS = [
    Kind(
        layers.QuantizedConv2D,
        keras.layers.Conv2D,
        {"filters": 6, "kernel_size": 3},
        (9, 8, 4),
        [
            {"padding": "same", "strides": 2, "use_bias": False},
            {"strides": (2, 1), "activation": "relu"},
            {"dilation_rate": 2, "padding": "same"},
            {"groups": 2, "padding": "same", "activation": "tanh"},
            {"groups": 4, "filters": 8},
            {"kernel_size": (1, 4), "padding": "SAME"},
            {"data_format": "channels_first"},
        ],
        named={
            "BinaryConnect": layers.BinaryConnectConv2D,
            "BinaryWeight": layers.BinaryWeightConv2D,
            "FixedPointQuantized": layers.FixedPointQuantizedConv2D,
        },
    ),
    Kind(
        layers.QuantizedDense,
        keras.layers.Dense,
        {"units": 6},
        (12,),
        [{"use_bias": False}, {"activation": "relu"}, {"input_shape": (5, 12)}],
        named={
            "BinaryConnect": layers.BinaryConnectDense,
            "BinaryWeight": layers.BinaryWeightDense,
            "FixedPointQuantized": layers.FixedPointQuantizedDense,
        },
    ),
    Kind(
        layers.QuantizedDepthwiseConv2D,
        keras.layers.DepthwiseConv2D,
        {"kernel_size": 3, "depth_multiplier": 2},
        (9, 8, 3),
        [
            {"padding": "same", "strides": 2, "use_bias": False},
            {"depth_multiplier": 1, "activation": "relu"},
            {"dilation_rate": 2, "kernel_size": (1, 3)},
            {"data_format": "channels_first"},
        ],
    ),
    Kind(
        layers.QuantizedConv1D,
        keras.layers.Conv1D,
        {"filters": 6, "kernel_size": 3},
        (9, 4),
        [
            {"padding": "causal", "dilation_rate": 2, "activation": "relu"},
            {"padding": "same", "strides": 2, "use_bias": False},
            {"groups": 2},
            {"padding": "causal", "data_format": "channels_first"},
        ],
    ),
    Kind(
        layers.QuantizedDepthwiseConv1D,
        keras.layers.DepthwiseConv1D,
        {"kernel_size": 7, "depth_multiplier": 2},
        (12, 3),
        [
            {"padding": "same", "strides": 2, "use_bias": False},
            {"dilation_rate": 2, "kernel_size": 3, "activation": "relu"},
        ],
    ),
    Kind(
        layers.QuantizedSeparableConv1D,
        keras.layers.SeparableConv1D,
        {"filters": 6, "kernel_size": 7, "depthwise_initializer": LARGE},
        (12, 8),
        [{"padding": "same", "strides": 2, "use_bias": False}, {"depth_multiplier": 2, "activation": "relu"}],
    ),
    Kind(
        layers.QuantizedSeparableConv2D,
        keras.layers.SeparableConv2D,
        {"filters": 6, "kernel_size": 3, "depthwise_initializer": LARGE},
        (9, 8, 6),
        [
            {"padding": "same", "strides": 2, "use_bias": False},
            {"dilation_rate": 2, "activation": "relu"},
            {"depth_multiplier": 2, "kernel_size": (1, 3)},
        ],
    ),
    Kind(
        layers.QuantizedConv1DTranspose,
        keras.layers.Conv1DTranspose,
        {"filters": 6, "kernel_size": 3},
        (9, 4),
        [{"padding": "same", "strides": 2, "use_bias": False}, {"strides": 3, "kernel_size": 2, "activation": "relu"}],
    ),
    Kind(
        layers.QuantizedConv2DTranspose,
        keras.layers.Conv2DTranspose,
        {"filters": 6, "kernel_size": 3},
        (5, 4, 4),
        [
            {"padding": "same", "strides": 2, "use_bias": False},
            {"strides": (2, 1), "kernel_size": (4, 2), "activation": "relu", "output_padding": (1, 0)},
            {"data_format": "channels_first"},
        ],
    ),
    Kind(
        layers.QuantizedEinsumDense,
        keras.layers.EinsumDense,
        {"equation": "...x,xy->...y", "output_shape": 6, "bias_axes": "y"},
        (12,),
        [
            {"bias_axes": None},
            {"activation": "relu", "equation": "ab,bc->ac", "bias_axes": "c"},
            {"input_shape": (5, 12), "equation": "abc,cd->abd", "output_shape": (None, 6), "bias_axes": "d"},
        ],
        without_bias={"bias_axes": None},
        same_order=False,
    ),
]

# For named layers: arguments other than the defaults for every argument that is not Keras'.
OWN_ARGUMENTS = {
    "BinaryConnect": {"quantize_zero_to": -1, "straight_through": "fine_grained", "stochastic": True, "seed": 11},
    "BinaryWeight": {"quantize_zero_to": 0, "straight_through": "fine_grained"},
    "FixedPointQuantized": {
        "bits": 5,
        "frac_bits": 3,
        "signed": False,
        "straight_through": "identity",
        "quantize_kernel": False,
        "quantize_bias": False,
        "bias_bits": 12,
        "bias_frac_bits": 6,
        "bias_signed": False,
        "bias_straight_through": "identity",
    },
}


class Case(NamedTuple):
    """A layer with a quantizer: `own` are the arguments that are not Keras', `changed` others, none of them a default."""

    kind: Kind
    layer: type
    own: dict[str, Any]
    changed: dict[str, Any]

    def __str__(self) -> str:
        quantizer = self.own.get("kernel_quantizer")
        return self.layer.__name__ if quantizer is None else f"{self.layer.__name__}-{type(quantizer).__name__}"

    @property
    def name(self) -> str:
        """Of the layer in the models below."""
        return str(self).replace("-", "_")

    def make(self, **arguments):
        return self.layer(**{**self.kind.arguments, **self.own, **arguments})

    def keras(self, **arguments):
        return self.kind.keras_layer(**{**self.kind.arguments, **arguments})

    def with_straight_through(self, name):
        """A layer whose quantizers pass the gradient by that estimator."""
        if "kernel_quantizer" in self.own:
            return self.make(**{key: dataclasses.replace(value, straight_through=name) for key, value in self.own.items()})
        bias = {"bias_straight_through": name} if "FixedPoint" in self.layer.__name__ else {}
        return self.make(straight_through=name, **bias)


def _generic(kind, quantizer):
    parts = kind.layer.kernel_parts
    other = {part.quantizer: changed(quantizer) for part in parts}
    other |= {"bias_quantizer": FixedPoint(12, 6, True, "identity"), "seed": 11}
    other |= dict.fromkeys(kind.layer.activation_quantizers, FixedPoint(16, 6)) | {"output_quantizer": FixedPoint(8, 2, False)}
    return Case(kind, kind.layer, {part.quantizer: quantizer() for part in parts}, other)


GENERIC = [_generic(kind, quantizer) for kind in KINDS for quantizer in OF_KERNELS]
NAMED = [Case(kind, layer, {}, OWN_ARGUMENTS[family]) for kind in KINDS for family, layer in kind.named.items()]
CASES = [*GENERIC, *NAMED]
# One of every class, for what no quantizer changes.
CLASSES = list({case.layer: case for case in CASES}.values())


def batch(kind, size=3, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (size, *kind.shape)).astype(np.float32)


def spread_weights(layer, seed=1):
    """Gives a built layer weights over twice a range of [-1, 1), and some beyond [-8, 8), so that some saturate."""
    rng = np.random.default_rng(seed)
    for variable in latents(layer):
        values = rng.uniform(-2, 2, variable.shape) * rng.choice([1, 5], variable.shape)
        variable.assign(values.astype(np.float32))
    layer.reset_quantizers()


def latents(layer):
    """Kernels and bias, in the order of Keras' weights."""
    return [*(getattr(layer, part.latent) for part in layer.kernel_parts), *([layer.bias] if layer.use_bias else [])]


def quantized_weights(layer):
    """The same as inference computes with them."""
    bias = [to_numpy(layer.quantized_bias)] if layer.use_bias else []
    return [*(to_numpy(layer.quantize_kernel(part)) for part in layer.kernel_parts), *bias]


def built(case, instance=None, **arguments):
    """A layer with spread weights."""
    instance = case.make(**arguments) if instance is None else instance
    instance.build((None, *case.kind.shape))
    spread_weights(instance)
    return instance


def all_layers(dtype=None):
    """A model with an output of every case; cases of one kind share an input."""
    inputs = {kind.layer.__name__: keras.Input(kind.shape, name=kind.layer.__name__) for kind in KINDS}
    outputs = {}
    for case in CASES:
        values = case.make(name=case.name, dtype=dtype)(inputs[case.kind.layer.__name__])
        outputs[case.name] = keras.layers.Activation("linear", dtype="float32", name=f"{case.name}_out")(values)
    return keras.Model(inputs, outputs)


def examples(size=8):
    return {kind.layer.__name__: batch(kind, size) for kind in KINDS}


@functools.cache
def trained(dtype=None):
    """The model with all layers after a step, and its weights before it. Tests do not change it."""
    keras.utils.set_random_seed(1)
    model = all_layers(dtype)
    before = {variable.path: to_numpy(variable) for variable in model.trainable_variables}
    inputs = examples()
    rng = np.random.default_rng(1)
    shapes = {name: output.shape for name, output in model.output.items()}
    targets = {name: rng.normal(size=(8, *shape[1:])).astype(np.float32) for name, shape in shapes.items()}
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=TENSORFLOW)  # one step costs less than to trace it
    model.fit(inputs, targets, batch_size=8, verbose=0)
    return model, before
