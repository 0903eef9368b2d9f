"""ResNet23: the CIFAR-10 network of nnabla's compression tutorial."""

from __future__ import annotations

import keras

from kerasq.models.families import layer_family


def resnet23(
    layers: str = "float",
    *,
    first: str | None = None,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    maps: int = 64,
    scale: float = 1.0 / 255,
    name: str = "resnet23",
) -> keras.Model:
    """ResNet23 on raw pixels: 22 convolutions, 7 identity residual units, one affine layer.

    A 3x3 stem is followed by seven bottleneck units (1x1 halves the maps, 3x3, 1x1 doubles them); units 3, 5 and 7 end
    with a 2x2 max pooling, so that the units compute at 32, 32, 16, 16, 8, 8 and 4 pixels. Every convolution is
    without bias and followed by batch normalization (decay 0.9, epsilon 1e-5).

    Args:
        layers: The family of the convolutions: `"float"`, `"binary_connect"`, `"binary_weight"`, `"ternary"`, `"fixed4"` (4-bit
            integers times a factor per channel) or `"fixed_point"`. The affine layer follows the family for `"fixed_point"`
            only: the tutorial keeps it float in binary networks.
        first: The family of the first convolution, which reads the image; `None`: that of the others.
        input_shape: Height, width and channels of the images. Height and width must be multiples of 8.
        classes: Number of outputs (logits: there is no softmax in the network).
        maps: Feature maps of the stem, an even number.
        scale: Factor applied to the pixels inside the network; the converter folds it away.
        name: Name of the model.

    Input shape:
        `(batch, 32, 32, 3)`, pixels 0..255 of any numeric dtype.

    Output shape:
        `(batch, classes)`: logits.

    Returns:
        A functional `keras.Model` of 99,402 float values (97,482 trainable).

    Source:
        nnabla-examples, image-classification/cifar10-100 (`resnet23_prediction`).
    """
    if maps % 2 or input_shape[0] % 8 or input_shape[1] % 8:
        raise ValueError(
            "`maps` must be even and the image's sides multiples of 8 (three 2x2 poolings). "
            f"Received: maps={maps}, input_shape={input_shape}"
        )
    family = layer_family(layers)
    first_family = family if first is None else layer_family(first, "first")

    def convolution(x, filters, size, name, activation=True, family=family):
        x = family.conv2d(filters, size, padding="same", use_bias=False, name=name)(x)
        x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
        return keras.layers.ReLU(name=f"{name}_relu")(x) if activation else x

    def unit(x, name, down):
        h = convolution(x, maps // 2, 1, f"{name}_conv1")
        h = convolution(h, maps // 2, 3, f"{name}_conv2")
        h = convolution(h, maps, 1, f"{name}_conv3", activation=False)
        x = keras.layers.Add(name=f"{name}_add")([h, x])
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
        return keras.layers.MaxPooling2D(2, name=f"{name}_pool")(x) if down else x

    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Rescaling(scale, name="scale")(inputs)
    x = convolution(x, maps, 3, "conv1", family=first_family)
    for index in range(2, 9):
        x = unit(x, f"conv{index}", down=index in (3, 5, 7))
    x = keras.layers.AveragePooling2D((input_shape[0] // 8, input_shape[1] // 8), name="average_pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    outputs = family.dense(classes, name="affine")(x)
    return keras.Model(inputs, outputs, name=name)
