"""A small MobileNet: depthwise-separable convolutions for 32x32 images."""

from __future__ import annotations

from collections.abc import Sequence

import keras

UNITS = ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (128, 1), (128, 1))


def mobilenet(
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    units: Sequence[tuple[int, int]] = UNITS,
    scale: float = 1.0 / 255,
    name: str = "mobilenet",
) -> keras.Model:
    """MobileNet on raw pixels: a stem of stride 2, depthwise-separable convolutions, one affine layer.

    Every convolution is without bias and followed by batch normalization (decay 0.9, epsilon 1e-5) and a ReLU. The converter
    folds the normalization into the kernels; a depthwise kernel can then have channels of very different sizes, which is what
    makes these networks hard for one format per tensor.

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of outputs (logits: there is no softmax in the network).
        width: Factor of the number of filters, rounded to multiples of 4.
        units: Filters and strides of each separable convolution.
        scale: Factor applied to the pixels inside the network; the converter folds it away.
        name: Name of the model.

    Input shape:
        `(batch, 32, 32, 3)`, pixels 0..255 of any numeric dtype.

    Output shape:
        `(batch, classes)`: logits.

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: `width` is not positive.

    Source:
        Howard et al. 2017, MobileNets (arXiv:1704.04861), table 1, shortened for small images.
    """
    if width <= 0:
        raise ValueError(f"`width` must be positive. Received: width={width}")

    def filters(count: int) -> int:
        return max(4, 4 * round(count * width / 4))

    def normalized(x, name):
        x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Rescaling(scale, name="scale")(inputs)
    x = normalized(keras.layers.Conv2D(filters(16), 3, strides=2, padding="same", use_bias=False, name="conv1")(x), "conv1")
    for index, (count, strides) in enumerate(units, 2):
        depthwise, pointwise = f"conv{index}_depthwise", f"conv{index}_pointwise"
        x = keras.layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False, name=depthwise)(x)
        x = normalized(x, depthwise)
        x = normalized(keras.layers.Conv2D(filters(count), 1, use_bias=False, name=pointwise)(x), pointwise)
    x = keras.layers.GlobalAveragePooling2D(name="average_pool")(x)
    outputs = keras.layers.Dense(classes, name="affine")(x)
    return keras.Model(inputs, outputs, name=name)
