"""ReestimateBatchNorm: statistics that belong to the weights as they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from kerasq.inputs import batches
from kerasq.nested import all_layers


class ReestimateBatchNorm(keras.callbacks.Callback):
    """Gives BatchNormalization the statistics of the network's present weights, before validation and at the end of `fit`.

    Moving averages lag behind: they are of weights that training has left since. Where weights have one bit or two, many of them
    change in every step, and the averages fit none of the networks that they went through. Here all moving means and variances
    become the plain means, over batches of training examples, of what each batch has. Nothing else changes: states of quantizers,
    seeds and weights are as before. It works on every backend; layers compute as in training, one batch after the other.

    Args:
        x: Training examples as an array, or batches of them: any iterable that can be gone through again, such as a
            `keras.utils.PyDataset` or a `tf.data.Dataset`; of `(x, y)` the first is taken.
        batch_size: Of an array.
        batches: How many batches at most; `None`: all. Some thousand examples do.
        before_validation: Whether also before each validation within `fit`, so that `val_` figures, and the weights that
            callbacks save by them, are of a network as it would be shipped.

    Raises:
        ValueError: There are no batches.

    Example:

    >>> callback = kerasq.callbacks.ReestimateBatchNorm(x_train[:4096])
    >>> model.fit(x_train, y_train, validation_data=(x, y), callbacks=[callback])

    Source:
        Wu, Johnson, Rethinking "Batch" in BatchNorm, [arXiv:2105.07576](https://arxiv.org/abs/2105.07576), section 3: precise
        statistics.
    """

    def __init__(self, x: Any, batch_size: int = 128, batches: int | None = None, before_validation: bool = True) -> None:
        super().__init__()
        self.x, self.batch_size, self.batches, self.before_validation = x, batch_size, batches, before_validation
        self._in_fit = False

    def on_train_begin(self, logs: Any = None) -> None:
        self._in_fit = True

    def on_test_begin(self, logs: Any = None) -> None:
        if self._in_fit and self.before_validation:
            reestimate(self.model, self._inputs())

    def on_train_end(self, logs: Any = None) -> None:
        self._in_fit = False
        reestimate(self.model, self._inputs())

    def _inputs(self) -> Iterable[Any]:
        if hasattr(self.x, "shape"):
            starts = range(0, len(self.x), self.batch_size)[: self.batches]
            return (self.x[start : start + self.batch_size] for start in starts)
        taken = itertools.islice(batches(self.x), self.batches)
        return (batch[0] if isinstance(batch, tuple) else batch for batch in taken)


def reestimate(model: keras.Model, batches: Iterable[Any]) -> None:
    """Moving means and variances become the means of those of the batches; all other variables stay as they are."""
    layers = [layer for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]
    moving = {id(variable) for layer in layers for variable in (layer.moving_mean, layer.moving_variance)}
    others = [variable for variable in model.non_trainable_variables if id(variable) not in moving]
    before = [ops.convert_to_numpy(variable.value) for variable in others]
    momenta = [layer.momentum for layer in layers]
    count = 0
    try:
        for count, inputs in enumerate(batches, start=1):
            for layer in layers:
                layer.momentum = (count - 1) / count  # the moving average of n batches is then their mean
            model(inputs, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for variable, value in zip(others, before, strict=True):
            variable.assign(value)
    if not count:
        raise ValueError("`x` of ReestimateBatchNorm has no batches.")
