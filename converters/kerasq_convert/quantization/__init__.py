"""A float model made ready for training as a chip will compute it: `kerasq.quantize_model`, and `kerasq.strip` back.

Nothing here needs TensorFlow: it runs on whatever backend Keras does. Keras is imported with the first call.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from kerasq_convert.examples.dataset import Dataset
from kerasq_convert.settings import Settings


def quantize_model(
    model: Any,
    representative_dataset: Dataset,
    recipe: str | Mapping[Any, Any] = "fixed8",
    *,
    activations: int | None = 8,
    settings: str | os.PathLike | Mapping[str, Any] | Settings | None = None,
    criterion: str = "mse",
    fold_batch_norm: bool = False,
) -> Any:
    """A model that trains what a chip will compute, from a float one: same weights, layer names and outputs.

    Every layer with a kernel becomes its quantized twin, and every activation that the converted file stores has a quantizer:
    where the converter would put it, after BatchNormalization, addition and activation, and not between what it fuses. Inside
    of a twin it is `output_quantizer` (`sum_quantizer` before a function that takes a table), else a `FixedPointQuantize` layer
    called `<layer>_quantizer`. The probabilities of a softmax at the network's end stay float, for the loss to take their
    logarithm.

    Args:
        model: A Functional or Sequential Keras model, nested or with shared layers, of any number of inputs and outputs. It is
            not changed.
        representative_dataset: Some hundred examples of what the network will see, as `Converter.representative_dataset`.
            They run through the float model, and formats are what the converter would choose by them.
        recipe: Kernels by a name: `"fixed8"`, `"fixed4"`, `"ternary"`, `"binary_weight"` (+alpha or -alpha) or
            `"binary_connect"` (+1 or -1); `"fixed4"` and `"ternary"` have a factor per output channel, too, which `"fixed4"`
            trains. All but `"fixed8"` leave 8 bits to the first and the last layer and to depthwise ones. Or rules: `{"first":
            None, "conv*/depthwise": "fixed8", keras.layers.Dense: kerasq.quantizers.BinaryWeight()}`. Their keys are `first`,
            `last`, names and patterns, and classes; an exact name goes before `first` and `last`, these before patterns,
            patterns before classes, later ones before earlier ones; `<layer>/depthwise` is the depthwise kernel of a separable
            layer. Their values are quantizers, names of them or of recipes, or `None`, which leaves a kernel in float. A layer
            without a rule has 8 bits. Positions of `"fixed8"`, and where a `LearnedFixedPoint` begins, are those of the least
            error of the layer's outputs over the dataset.
        activations: Bits of the activations, 2..16; `None`: they stay float.
        settings: A settings file, or its contents, as for the converter: buffers that it names have its formats.
        criterion: How fractional bits are chosen: `"mse"`, `"minmax"`, `"percentile"` or `"kl"`.
        fold_batch_norm: Whether layers first take in the BatchNormalization behind them, with its moving statistics, kernel
            times gamma / sqrt(variance + epsilon) by channel: the format of a kernel then holds all of it, and the file needs no
            multipliers (but where a `Rescaling` or a factor of a quantizer asks for one). Channels of very different sizes are
            what training then has to level; without folding they are factors beside the kernel, which cost two bytes a channel.

    Returns:
        A Keras model to compile and fit; compiled as the original, if that was. `kerasq.convert(model)` makes the .kq file, and
        needs neither dataset nor settings: the formats are in the model.

    Raises:
        ConversionError: The model is subclassed, a layer has no quantized form, a rule or a line of the settings is for nothing,
            or the dataset can't be used; every problem is listed.

    Example:

    >>> quantized = kerasq.quantize_model(model, x_train[:256], "binary_weight")
    >>> quantized.compile("adam", loss, metrics=["accuracy"])
    >>> quantized.fit(x_train, y_train, epochs=10)
    >>> pathlib.Path("model.kq").write_bytes(kerasq.convert(quantized))
    """
    from kerasq_convert.quantization.quantize import quantized

    return quantized(model, representative_dataset, recipe, activations, settings, criterion, fold_batch_norm)


def strip(model: Any) -> Any:
    """The float model that a quantized one is: without quantizers, with the latent weights of the training.

    Args:
        model: What `quantize_model` made, or any Functional or Sequential model with kerasq layers. It is not changed.

    Returns:
        A model of Keras' own layers.

    Raises:
        ConversionError: The model is subclassed.
    """
    from kerasq_convert.quantization.quantize import stripped

    return stripped(model)
