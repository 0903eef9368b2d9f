"""A small network around every layer class that Keras exports: `NETWORKS`, by class name.

What can't stand in a network alone (base classes, cells, wrappers of other libraries) is in `NO_NETWORK`, with the reason.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

L = keras.layers
SEQUENCE, IMAGE, VOLUME, FEATURES = (8, 4), (8, 8, 4), (6, 6, 6, 2), (12,)
PHOTO = (16, 16, 3)

NO_NETWORK = {
    "Layer": "the base class of all",
    "Wrapper": "the base class of wrappers",
    "InputLayer": "every network has one",
    "LSTMCell": "computes one step, inside of RNN",
    "GRUCell": "computes one step, inside of RNN",
    "SimpleRNNCell": "computes one step, inside of RNN",
    "StackedRNNCells": "computes one step, inside of RNN",
    "JaxLayer": "needs JAX",
    "FlaxLayer": "needs JAX",
    "TorchModuleWrapper": "needs torch",
    "TFSMLayer": "is made from a SavedModel",
    "Equalization": "Keras 3.15 can't build a network with it: it calls its own input its output",
    "MaxNumBoundingBoxes": "takes bounding boxes, not tensors of a network",
}


def exported() -> dict[str, type]:
    """Every layer class of `keras.layers` once, by its own name; aliases are left out."""
    classes = [value for value in vars(keras.layers).values() if inspect.isclass(value) and issubclass(value, keras.Layer)]
    names = {value: name for name, value in reversed(vars(keras.layers).items()) if value in classes}
    return {names[found] if found.__name__ not in vars(keras.layers) else found.__name__: found for found in names}


def _chain(shape: tuple[int, ...], *layers: Any, **options: Any) -> keras.Model:
    return keras.Sequential([keras.Input(shape, name="x", **options), *layers])


def _joined(layer: Any, shape: tuple[int, ...] = IMAGE, count: int = 2) -> keras.Model:
    inputs = [keras.Input(shape, name=name) for name in "abc"[:count]]
    return keras.Model(inputs, layer(inputs))


def _attention(layer: Any, shape: tuple[int, ...] = SEQUENCE, *, listed: bool = False) -> keras.Model:
    x = keras.Input(shape, name="x")
    return keras.Model(x, layer([x, x] if listed else x) if listed else layer(x, x))


# Arguments of classes that a network of one input of this shape shows.
_ARGUMENTS: dict[tuple[int, ...], dict[str, dict[str, Any]]] = {
    IMAGE: {
        "Activation": {"activation": "tanh"},
        "ActivityRegularization": {"l2": 0.1},
        "AdaptiveAveragePooling2D": {"output_size": 3},
        "AdaptiveMaxPooling2D": {"output_size": 3},
        "AlphaDropout": {"rate": 0.2},
        "AveragePooling2D": {"pool_size": 2},
        "BatchNormalization": {},
        "CenterCrop": {"height": 4, "width": 6},
        "Conv2D": {"filters": 3, "kernel_size": 3},
        "Conv2DTranspose": {"filters": 3, "kernel_size": 3, "strides": 2},
        "Cropping2D": {"cropping": 1},
        "Dense": {"units": 3},
        "DepthwiseConv2D": {"kernel_size": 3},
        "Dropout": {"rate": 0.2},
        "ELU": {},
        "EinsumDense": {"equation": "abcd,de->abce", "output_shape": (None, None, 5)},
        "Flatten": {},
        "GaussianDropout": {"rate": 0.2},
        "GaussianNoise": {"stddev": 0.2},
        "GlobalAveragePooling2D": {},
        "GlobalMaxPooling2D": {},
        "GroupNormalization": {"groups": 2},
        "Identity": {},
        "LayerNormalization": {},
        "LeakyReLU": {},
        "MaxPooling2D": {},
        "Normalization": {"mean": [0.0, 1.0, 0.5, 0.2], "variance": [1.0, 2.0, 0.5, 1.0]},
        "PReLU": {"alpha_initializer": "random_normal", "shared_axes": (1, 2)},
        "Permute": {"dims": (2, 3, 1)},
        "RMSNormalization": {},
        "ReLU": {},
        "Rescaling": {"scale": 0.5},
        "Reshape": {"target_shape": (4, 64)},
        "Resizing": {"height": 5, "width": 5},
        "SeparableConv2D": {"filters": 3, "kernel_size": 3},
        "Softmax": {},
        "SpatialDropout2D": {"rate": 0.2},
        "UnitNormalization": {},
        "UpSampling2D": {},
        "ZeroPadding2D": {},
    },
    SEQUENCE: {
        "AdaptiveAveragePooling1D": {"output_size": 3},
        "AdaptiveMaxPooling1D": {"output_size": 3},
        "AveragePooling1D": {"pool_size": 2},
        "Conv1D": {"filters": 3, "kernel_size": 3},
        "Conv1DTranspose": {"filters": 3, "kernel_size": 3, "strides": 2},
        "Cropping1D": {"cropping": 1},
        "DepthwiseConv1D": {"kernel_size": 3},
        "GRU": {"units": 3},
        "GlobalAveragePooling1D": {},
        "GlobalMaxPooling1D": {},
        "LSTM": {"units": 3},
        "Masking": {},
        "MaxPooling1D": {},
        "SeparableConv1D": {"filters": 3, "kernel_size": 3},
        "SimpleRNN": {"units": 3},
        "SpatialDropout1D": {"rate": 0.2},
        "UpSampling1D": {},
        "ZeroPadding1D": {},
    },
    VOLUME: {
        "AdaptiveAveragePooling3D": {"output_size": 3},
        "AdaptiveMaxPooling3D": {"output_size": 3},
        "AveragePooling3D": {"pool_size": 2},
        "Conv3D": {"filters": 3, "kernel_size": 3},
        "Conv3DTranspose": {"filters": 3, "kernel_size": 3},
        "Cropping3D": {"cropping": 1},
        "GlobalAveragePooling3D": {},
        "GlobalMaxPooling3D": {},
        "MaxPooling3D": {},
        "SpatialDropout3D": {"rate": 0.2},
        "UpSampling3D": {},
        "ZeroPadding3D": {},
    },
    PHOTO: {
        "AugMix": {"value_range": (-3, 3)},
        "AutoContrast": {"value_range": (-3, 3)},
        "ContrastLimitedAdaptiveHistogramEqualization": {"value_range": (-3, 3)},
        "CutMix": {},
        "MixUp": {},
        "RandAugment": {"value_range": (-3, 3)},
        "RandomBrightness": {"factor": 0.2, "value_range": (-3, 3)},
        "RandomColorDegeneration": {"factor": 0.5},
        "RandomColorJitter": {"value_range": (-3, 3), "brightness_factor": 0.2, "hue_factor": 0.1},
        "RandomContrast": {"factor": 0.2, "value_range": (-3, 3)},
        "RandomCrop": {"height": 12, "width": 10},
        "RandomElasticTransform": {},
        "RandomErasing": {},
        "RandomFlip": {},
        "RandomGaussianBlur": {},
        "RandomGrayscale": {},
        "RandomHue": {"factor": 0.1, "value_range": (-3, 3)},
        "RandomInvert": {"value_range": (-3, 3)},
        "RandomPerspective": {},
        "RandomPosterization": {"factor": 3, "value_range": (-3, 3)},
        "RandomRotation": {"factor": 0.1},
        "RandomSaturation": {"factor": 0.3, "value_range": (-3, 3)},
        "RandomSharpness": {"factor": 0.5, "value_range": (-3, 3)},
        "RandomShear": {"x_factor": 0.2},
        "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1},
        "RandomZoom": {"height_factor": 0.2},
        "Solarization": {"value_range": (-3, 3)},
    },
    FEATURES: {
        "Discretization": {"bin_boundaries": [-0.5, 0.5]},
        "RepeatVector": {"n": 3},
        "MelSpectrogram": {"fft_length": 8, "sequence_stride": 4, "num_mel_bins": 4, "sampling_rate": 100, "max_freq": 40},
    },
}

_ARGUMENTS_OF_INTEGERS: dict[str, dict[str, Any]] = {
    "CategoryEncoding": {"num_tokens": 5},
    "Embedding": {"input_dim": 5, "output_dim": 3},
    "Hashing": {"num_bins": 5},
    "IntegerLookup": {"vocabulary": [0, 1, 2, 3]},
    "ReversibleEmbedding": {"input_dim": 5, "output_dim": 3},
}

_NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "Add": lambda: _joined(L.Add(name="it")),
    "AdditiveAttention": lambda: _attention(L.AdditiveAttention(name="it"), listed=True),
    "Attention": lambda: _attention(L.Attention(name="it"), listed=True),
    "Average": lambda: _joined(L.Average(name="it")),
    "Bidirectional": lambda: _chain(SEQUENCE, L.Bidirectional(L.LSTM(3), name="it")),
    "Concatenate": lambda: _joined(L.Concatenate(name="it")),
    "ConvLSTM1D": lambda: _chain((3, 8, 2), L.ConvLSTM1D(2, 3, name="it")),
    "ConvLSTM2D": lambda: _chain((3, 8, 8, 2), L.ConvLSTM2D(2, 3, name="it")),
    "ConvLSTM3D": lambda: _chain((3, 5, 5, 5, 2), L.ConvLSTM3D(2, 3, name="it")),
    "Dot": lambda: _joined(L.Dot(-1, name="it"), FEATURES),
    "GroupQueryAttention": lambda: _attention(L.GroupQueryAttention(4, 2, 2, name="it")),
    "HashedCrossing": lambda: _of_integers_pair(L.HashedCrossing(5, name="it")),
    "Lambda": lambda: _chain(IMAGE, L.Lambda(lambda x: 2 * x + 1, name="it")),
    "Maximum": lambda: _joined(L.Maximum(name="it")),
    "Minimum": lambda: _joined(L.Minimum(name="it")),
    "MultiHeadAttention": lambda: _attention(L.MultiHeadAttention(2, 2, name="it")),
    "Multiply": lambda: _joined(L.Multiply(name="it")),
    "Pipeline": lambda: _chain(IMAGE, L.Pipeline([L.Rescaling(0.5), L.Rescaling(2.0, offset=1.0)], name="it")),
    "RNN": lambda: _chain(SEQUENCE, L.RNN(L.GRUCell(3), name="it")),
    "SpectralNormalization": lambda: _chain(IMAGE, L.SpectralNormalization(L.Conv2D(3, 3), name="it")),
    "STFTSpectrogram": lambda: _chain((32, 1), L.STFTSpectrogram("magnitude", 8, 4, 8, window=None, name="it")),
    "StringLookup": lambda: _chain((3,), L.StringLookup(vocabulary=["a"], name="it"), dtype="string"),
    "Subtract": lambda: _joined(L.Subtract(name="it")),
    "TextVectorization": lambda: _chain((1,), L.TextVectorization(vocabulary=["a"], name="it"), dtype="string"),
    "TimeDistributed": lambda: _chain(SEQUENCE, L.TimeDistributed(L.Dense(3, activation="relu"), name="it")),
}


def _of_integers_pair(layer: Any) -> keras.Model:
    inputs = [keras.Input((1,), dtype="int32", name=name) for name in "ab"]
    return keras.Model(inputs, layer(inputs))


def _maker(name: str, shape: tuple[int, ...], arguments: dict[str, Any], **options: Any) -> Callable[[], keras.Model]:
    return lambda: _chain(shape, getattr(L, name)(**arguments, name="it"), **options)


def networks() -> dict[str, Callable[[], keras.Model]]:
    """Makers of a network for each class; the layer in question is called `it`."""
    made = dict(_NETWORKS)
    for shape, classes in _ARGUMENTS.items():
        made |= {name: _maker(name, shape, arguments) for name, arguments in classes.items()}
    made |= {name: _maker(name, (5,), arguments, dtype="int32") for name, arguments in _ARGUMENTS_OF_INTEGERS.items()}
    return made


def examples(model: keras.Model, count: int) -> list[np.ndarray]:
    """Values for each input of a network: normal ones, small integers or words, by its type."""
    rng = np.random.default_rng(12)
    arrays = []
    for tensor in model.inputs:
        shape = (count, *tensor.shape[1:])
        if tensor.dtype == "string":
            arrays.append(np.full(shape, "a"))
        elif "int" in tensor.dtype:
            arrays.append(rng.integers(0, 4, shape).astype(tensor.dtype))
        else:
            values = rng.normal(size=shape)
            arrays.append(np.float32(values + 0.05 * np.sign(values)))  # not so near to 0 that rounding decides on the sign
    return arrays
