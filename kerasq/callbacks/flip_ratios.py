"""FlipRatios: how many quantized weights change their sign from epoch to epoch."""

from __future__ import annotations

import math
from typing import Any

import keras

from kerasq.metrics import FlipRatio
from kerasq.nested import quantized_kernels


class FlipRatios(keras.callbacks.Callback):
    """Adds `flip_ratio` to the logs of every epoch: the share of quantized weights whose sign the epoch changed.

    So the history, CSVLogger and others have it, beside the loss (they must stand behind this callback). All weights count alike;
    `ratios` has the share of each layer in the last epoch, by path. It works on every backend.

    Example:

    >>> model.fit(x_train, y_train, epochs=20, callbacks=[kerasq.callbacks.FlipRatios()]).history["flip_ratio"]

    Source:
        Helwegen et al., Latent weights do not exist, [arXiv:1906.02107](https://arxiv.org/abs/1906.02107), section 5.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ratios: dict[str, float] = {}
        self._metrics: dict[str, FlipRatio] = {}

    def on_train_begin(self, logs: Any = None) -> None:
        kernels = quantized_kernels(self.model)
        self._metrics = {_path(layer, part): FlipRatio(tuple(getattr(layer, part.latent).shape)) for layer, part in kernels}
        self._update()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._update()
        self.ratios = {path: float(metric.result()) for path, metric in self._metrics.items()}
        sizes = {path: math.prod(metric.shape) for path, metric in self._metrics.items()}
        if logs is not None and sizes:
            logs["flip_ratio"] = sum(self.ratios[path] * size for path, size in sizes.items()) / sum(sizes.values())

    def _update(self) -> None:
        for layer, part in quantized_kernels(self.model):
            metric = self._metrics[_path(layer, part)]
            metric.reset_state()
            metric.update_state(layer.quantize_kernel(part))


def _path(layer: Any, part: Any) -> str:
    """The layer's; with the name of the kernel where it has another one behind it."""
    return layer.path if part is layer.kernel_parts[-1] else f"{layer.path}/{part.latent}"
