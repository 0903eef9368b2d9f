"""Every layer with a kernel, beside the Keras layer that it stands for, and inputs for it."""

import keras
import numpy as np

from kerasq import layers

TENSORFLOW = keras.backend.backend() == "tensorflow"

CONVOLUTIONS = [layers.BinaryConnectConv2D, layers.BinaryWeightConv2D, layers.FixedPointQuantizedConv2D]
DENSE = [layers.BinaryConnectDense, layers.BinaryWeightDense, layers.FixedPointQuantizedDense]
KERNEL_LAYERS = CONVOLUTIONS + DENSE
# Arguments other than the defaults for every argument that is not Keras'.
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


def keras_layer(layer):
    """The class of `keras.layers` that a class of kerasq stands for."""
    return keras.layers.Conv2D if layer in CONVOLUTIONS else keras.layers.Dense


def own_arguments(layer):
    return OWN_ARGUMENTS[layer.__name__.removesuffix("Conv2D").removesuffix("Dense")]


def make(layer, outputs=6, **arguments):
    """The layer with a 3x3 kernel if it is a convolution."""
    return layer(outputs, 3, **arguments) if layer in CONVOLUTIONS else layer(outputs, **arguments)


def input_shape(layer):
    return (9, 8, 4) if layer in CONVOLUTIONS else (12,)


def batch(layer, size=3, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (size, *input_shape(layer))).astype(np.float32)


def spread_weights(layer, seed=1):
    """Gives a built layer weights over twice the range of the default formats, so that some saturate."""
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign(rng.uniform(-2, 2, variable.shape).astype(np.float32))
