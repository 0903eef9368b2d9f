"""Normalizations by an example's own statistics: Keras' layers over all axes, the same written out, and networks of them."""

import keras

from converters.zoo import L, randomized

o = keras.ops
IMAGE, SEQUENCE, FEATURES = (6, 5, 8), (7, 8), (16,)


def chain(shape, *layers):
    keras.utils.set_random_seed(5)
    return randomized(keras.Sequential([keras.Input(shape, name="x"), *layers]))


def written(function):
    return L.Lambda(function)


def mean(x, **arguments):
    return o.mean(x, axis=-1, keepdims=True, **arguments)


def centered(x):
    return x - mean(x)


# By name: shape of the input, the layer, and how many operators it takes behind a convolution and before one.
LAYERS = {
    "channels": (IMAGE, lambda: L.LayerNormalization(), 1),
    "features": (FEATURES, lambda: L.LayerNormalization(epsilon=1e-6), 1),
    "steps": (SEQUENCE, lambda: L.LayerNormalization(), 1),
    "maps": (IMAGE, lambda: L.LayerNormalization(axis=(1, 2, 3)), None),
    "rows": (IMAGE, lambda: L.LayerNormalization(axis=1), None),
    "columns": (IMAGE, lambda: L.LayerNormalization(axis=2), None),
    "rows_and_columns": (IMAGE, lambda: L.LayerNormalization(axis=(1, 2)), None),
    "rows_and_channels": (IMAGE, lambda: L.LayerNormalization(axis=(1, 3)), None),
    "without_scale": (IMAGE, lambda: L.LayerNormalization(scale=False), 1),
    "without_offset": (IMAGE, lambda: L.LayerNormalization(center=False), 1),
    "bare": (IMAGE, lambda: L.LayerNormalization(center=False, scale=False), 1),
    "groups": (IMAGE, lambda: L.GroupNormalization(2), 1),
    "groups_of_features": (FEATURES, lambda: L.GroupNormalization(4), None),
    "groups_of_steps": (SEQUENCE, lambda: L.GroupNormalization(4, center=False), 1),
    "groups_of_rows": (IMAGE, lambda: L.GroupNormalization(2, axis=1), None),
    "one_group": (IMAGE, lambda: L.GroupNormalization(1), 1),
    "instances": (IMAGE, lambda: L.GroupNormalization(-1), 1),
    "root_mean_squares": (SEQUENCE, lambda: L.RMSNormalization(), 1),
    "root_mean_squares_of_maps": (SEQUENCE, lambda: L.RMSNormalization(axis=(1, 2)), None),
    "units": (SEQUENCE, lambda: L.UnitNormalization(), 1),
    "units_of_maps": (IMAGE, lambda: L.UnitNormalization(axis=(1, 2, 3)), 1),
    "reciprocal_root": (SEQUENCE, lambda: written(lambda x: centered(x) * o.rsqrt(o.var(x, -1, keepdims=True) + 1e-3)), 1),
    "root": (SEQUENCE, lambda: written(lambda x: 3 * centered(x) / o.sqrt(o.var(x, -1, keepdims=True) + 1e-3) + 1), 1),
    "deviation": (SEQUENCE, lambda: written(lambda x: centered(x) / o.std(x, -1, keepdims=True)), 1),
    "moments": (SEQUENCE, lambda: written(lambda x: centered(x) / o.sqrt(mean(x * x) - o.square(mean(x)) + 1e-2)), 1),
    "squares": (SEQUENCE, lambda: written(lambda x: x / o.sqrt(mean(x * x) + 1e-3)), 1),
    "norm": (SEQUENCE, lambda: written(lambda x: x / o.norm(x, axis=-1, keepdims=True)), 1),
    "function": (SEQUENCE, lambda: written(o.normalize), 1),
    "layer_function": (SEQUENCE, lambda: written(o.layer_normalization), 1),
    "rms_function": (SEQUENCE, lambda: written(o.rms_normalization), 1),
}


def around(shape, layer):
    """The layer between two with kernels."""
    if len(shape) == 3:
        return chain(shape, L.Conv2D(8, 3, padding="same"), layer, L.Conv2D(4, 3))
    return chain(shape, L.Dense(shape[-1]), layer, L.Dense(4))
