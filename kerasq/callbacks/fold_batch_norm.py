"""FoldBatchNorm: the last epochs train the network that is shipped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras

from kerasq.callbacks.recorder import replaced


class FoldBatchNorm(keras.callbacks.Callback):
    """For the last epochs of a training, every BatchNormalization computes with its moving statistics.

    A file has scale and offset of a normalization folded into multiplier and bias:

        y = (x · w) · m + b,   m = gamma / sqrt(variance + epsilon),   b = beta - mean · m

    with the moving mean and variance. In training those of the batch stand in their place, so that a network with few bits trains
    another function, from batch to batch, than the one that is shipped. With this callback mean and variance stay as they are
    from epoch `epochs - n` on; gamma and beta, and with them m and b, are trained further. The file rounds m to 16 bits.

    It works on every backend, in models of any kind, with and without quantizers. The training step is compiled once more.

    Args:
        epochs: For how many epochs at the end of `fit`.

    Raises:
        ValueError: `epochs` is not a positive integer.

    Example:

    >>> quantized.fit(x_train, y_train, epochs=20, callbacks=[kerasq.callbacks.FoldBatchNorm(epochs=4)])

    Source:
        Krishnamoorthi, Quantizing deep convolutional networks for efficient inference, [arXiv:1806.08342](https://arxiv.org/abs/1806.08342),
        section 3.2.2: batch statistics are frozen after enough training.
    """

    def __init__(self, epochs: int = 1) -> None:
        super().__init__()
        if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
            raise ValueError(f"`epochs` must be a positive integer. Received: epochs={epochs!r}")
        self.epochs = epochs
        self._folded = contextlib.ExitStack()
        self._is_folded = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if not self._is_folded and epoch >= self.params["epochs"] - self.epochs:
            for layer in _normalizations(self.model):
                self._folded.enter_context(replaced(layer, "call", _in_inference))
            self._is_folded = True
            self.model.make_train_function(force=True)

    def on_train_end(self, logs: Any = None) -> None:
        if self._is_folded:
            self._folded.close()
            self._is_folded = False
            self.model.make_train_function(force=True)


def _in_inference(layer: Any, call: Callable[..., Any], inputs: Any, *args: Any, **kwargs: Any) -> Any:
    return call(inputs, **{**kwargs, "training": False})


def _normalizations(layer: Any) -> Iterator[keras.layers.BatchNormalization]:
    """Those in a model, nested models included."""
    for inner in getattr(layer, "layers", ()):
        if isinstance(inner, keras.layers.BatchNormalization):
            yield inner
        yield from _normalizations(inner)
