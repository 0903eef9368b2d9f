"""Random small Keras networks: layers of all kinds one after the other, with branches, joins, several inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

import kerasq
from converters.zoo import L, randomized

SHAPE = (8, 8, 3)
ACTIVATIONS = ("linear", "relu", "relu6", "tanh", "sigmoid", "gelu", "swish", "leaky_relu", "hard_sigmoid")


def random_network(seed: int) -> keras.Model:
    """A network, always the same one for a seed."""
    keras.utils.set_random_seed(seed)
    return _Maker(np.random.default_rng(seed)).network()


class _Maker:
    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def network(self) -> keras.Model:
        inputs = [keras.Input(SHAPE, name=name) for name in ("image", "other")[: self.rng.choice([1, 1, 2])]]
        x = inputs[0] if len(inputs) == 1 else self._joined(inputs[0], inputs[1])
        outputs = []
        for _ in range(self.rng.integers(2, 6)):
            x = self._any((self._layer, self._layer, self._residual, self._branches, self._gate))(x)
            if self.rng.random() < 0.1:
                outputs.append(x)
        return randomized(keras.Model(inputs, [*outputs, self._head(x)]), int(self.rng.integers(1 << 30)))

    def _any(self, choices):
        return choices[self.rng.integers(len(choices))]

    def _weighted(self, filters: int, **options) -> keras.Layer:
        """A convolution that keeps the size, with weights of any family."""
        options |= {"padding": "same", "use_bias": bool(self.rng.random() < 0.7), "activation": self._any(ACTIVATIONS)}
        size = int(self.rng.choice([1, 3]))
        return self._any(
            (
                lambda: L.Conv2D(filters, size, **options),
                lambda: L.Conv2D(filters, size, **options),
                lambda: self._uneven(L.Conv2D(filters, size, **options)),
                lambda: kerasq.BinaryWeightConv2D(filters, size, **options),
                lambda: kerasq.BinaryConnectConv2D(filters, size, **options),
                lambda: kerasq.FixedPointQuantizedConv2D(filters, size, bits=4, frac_bits=3, **options),
                lambda: kerasq.FixedPointQuantizedConv2D(filters, size, bits=8, frac_bits=7, **options),
            )
        )()

    def _uneven(self, layer: keras.Layer) -> keras.Layer:
        """Channels of very different sizes, which gain by a multiplier."""
        scales = 4.0 ** -np.arange(layer.filters)
        layer.kernel_initializer = lambda shape, dtype=None: keras.random.normal(shape, dtype=dtype) * scales
        return layer

    def _layer(self, x):
        makers: tuple[Callable[[], keras.Layer], ...] = (
            lambda: self._weighted(int(self.rng.integers(1, 7))),
            lambda: self._weighted(int(self.rng.integers(1, 7))),
            lambda: L.DepthwiseConv2D(3, padding="same", activation=self._any(ACTIVATIONS)),
            L.BatchNormalization,
            lambda: L.Activation(self._any(ACTIVATIONS)),
            lambda: L.MaxPooling2D(2, strides=1, padding="same"),
            lambda: L.AveragePooling2D(3, strides=1, padding="same"),
            L.PReLU,
            lambda: L.Rescaling(0.3, offset=0.1),
            lambda: L.Conv2DTranspose(3, 2, padding="same"),
            lambda: kerasq.FixedPointQuantize(8, int(self.rng.integers(2, 6))),
            lambda: L.Permute((2, 1, 3)),
        )
        return self._any(makers)()(x)

    def _residual(self, x):
        channels = x.shape[-1]
        h = L.BatchNormalization()(self._weighted(channels)(x))
        return L.Activation(self._any(ACTIVATIONS))(L.Add()([h, self._weighted(channels)(x) if self.rng.random() < 0.3 else x]))

    def _branches(self, x):
        return self._joined(self._layer(x), self._layer(x))

    def _joined(self, a, b):
        if a.shape[-1] != b.shape[-1] or self.rng.random() < 0.4:
            return L.Concatenate()([a, b])
        return self._any((L.Add, L.Multiply, L.Subtract, L.Average))()([a, b])

    def _gate(self, x):
        gate = L.Dense(x.shape[-1], activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))
        return L.Multiply()([x, gate])

    def _head(self, x):
        x = L.Flatten()(x) if self.rng.random() < 0.5 else L.GlobalAveragePooling2D()(x)
        dense = self._any((L.Dense, kerasq.BinaryWeightDense, kerasq.BinaryConnectDense))
        return dense(4, activation=self._any(("softmax", "softmax", "linear", "tanh")))(x)
