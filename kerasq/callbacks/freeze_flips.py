"""FreezeFlips: weights that go back and forth between two quantized values are stopped at the better one."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
import numpy as np

from kerasq.nested import quantized_kernels


class FreezeFlips(keras.callbacks.Callback):
    """Freezes latent weights that oscillate about a threshold of their quantizer.

    A gradient that passes a quantizer drives a latent weight to a threshold and then back and forth across it: two quantized
    values follow each other, neither of which training chooses, and statistics of batch normalization fit neither. With k the
    stored integer of a weight, at every step of training:

        o = 1 where the step changed k, and the last change before was in the other direction; else 0
        f <- momentum · f + (1 - momentum) · o          how often the weight oscillates
        m <- momentum · m + (1 - momentum) · k          where it mostly is

    Where f comes above a threshold, the weight is frozen for the rest of `fit`: of its last two values it takes the one that is
    nearer to m. The threshold falls by half a cosine, so that at first only those stop that do nothing else:

        threshold = last + (first - last) · (1 + cos(pi · epoch / (epochs - 1))) / 2

    The share of frozen weights is `frozen` in the logs of every epoch. It works on every backend, with every quantizer. Kernels
    are looked at on the host, some milliseconds a step for a hundred thousand weights; `frequency` makes that rarer.

    Args:
        first, last: Thresholds of the first and the last epoch, in (0, 1). A weight that flips at every step has f near 1.
        momentum: Of both averages, in [0, 1).
        frequency: Every so many batches count as a step.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> model.fit(x_train, y_train, epochs=20, callbacks=[kerasq.callbacks.FreezeFlips()]).history["frozen"]

    Notes:
        What is frozen is forgotten when `fit` ends, and a run that `BackupAndRestore` resumes begins to look anew.

    Source:
        Nagel et al., Overcoming Oscillations in Quantization-Aware Training, [arXiv:2203.08485](https://arxiv.org/abs/2203.08485),
        section 4.3, algorithm 1.
    """

    def __init__(self, first: float = 0.04, last: float = 0.01, momentum: float = 0.99, frequency: int = 1) -> None:
        super().__init__()
        problems = [
            f"`{name}` must be a number {what}. Received: {name}={value!r}"
            for name, value, what, fits in (
                ("first", first, "in (0, 1)", lambda number: 0 < number < 1),
                ("last", last, "in (0, 1)", lambda number: 0 < number < 1),
                ("momentum", momentum, "in [0, 1)", lambda number: 0 <= number < 1),
                ("frequency", frequency, "of batches", lambda number: isinstance(number, int) and number >= 1),
            )
            if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value)
        ]
        if problems:
            raise ValueError("\n".join(problems))
        self.first, self.last, self.momentum, self.frequency = first, last, momentum, frequency
        self._threshold = first
        self._batches = 0
        self._watched: list[tuple[Any, Any, Watched]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self._watched = [(layer, part, Watched(*_levels(layer, part))) for layer, part in quantized_kernels(self.model)]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        progress = min(1.0, epoch / max(1, self.params["epochs"] - 1))
        self._threshold = self.last + (self.first - self.last) * (1 + math.cos(math.pi * progress)) / 2

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batches += 1
        if self._batches % self.frequency:
            return
        _ = self.model  # under JAX this fetches the training step's weights into the layers
        for layer, part, watched in self._watched:
            kernel = getattr(layer, part.latent)
            latent = _channels_last(layer, part, kernel)
            if watched.frozen.any():  # what the step did to them is undone before anything is measured
                latent = np.where(watched.frozen, watched.held, latent)
                kernel.assign(getattr(layer, part.as_kernel)(latent))
            if watched.update(*_levels(layer, part), self.momentum, self._threshold):
                kernel.assign(getattr(layer, part.as_kernel)(np.where(watched.frozen, watched.held, latent)))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        total = sum(watched.frozen.size for *_, watched in self._watched)
        if logs is not None and total:
            logs["frozen"] = float(sum(np.count_nonzero(watched.frozen) for *_, watched in self._watched) / total)


@dataclasses.dataclass
class Watched:
    """What is known of a kernel's weights; arrays of its shape with output channels last.

    Attributes:
        levels: The k above.
        values: The quantized weights.
        direction: The sign of the last change of k; 0 before there was one.
        frequency, mean: The f and m above.
        frozen, held: Which weights are frozen, and the latent values that they keep.
    """

    levels: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        self.direction = np.zeros(self.levels.shape, np.int8)
        self.frequency = np.zeros(self.levels.shape, np.float32)
        self.mean = self.levels.copy()
        self.frozen = np.zeros(self.levels.shape, bool)
        self.held = np.zeros(self.levels.shape, np.float32)

    def update(self, levels: np.ndarray, values: np.ndarray, momentum: float, threshold: float) -> bool:
        """Takes in what a step has made of the weights; whether more of them are frozen now."""
        direction = np.sign(levels - self.levels).astype(np.int8)
        turned = direction * self.direction < 0
        self.frequency = momentum * self.frequency + (1 - momentum) * turned
        self.mean = momentum * self.mean + (1 - momentum) * levels
        more = (self.frequency > threshold) & turned & ~self.frozen
        stays = np.abs(levels - self.mean) <= np.abs(self.levels - self.mean)
        self.held = np.where(more, np.where(stays, values, self.values), self.held)
        self.frozen |= more
        self.direction = np.where(direction != 0, direction, self.direction)
        self.levels, self.values = levels, values
        return bool(more.any())


def _levels(layer: Any, part: Any) -> tuple[np.ndarray, np.ndarray]:
    """The stored integers of a kernel, up to a power of two where it has no factors, and its quantized values."""
    values = _channels_last(layer, part, layer.quantize_kernel(part))
    quantizer, state = getattr(layer, part.quantizer), getattr(layer, part.state)
    if state is not None:
        factors = quantizer.alpha_at(state.values)
    else:
        factors = quantizer.alpha(_channels_last(layer, part, getattr(layer, part.latent)))
    if factors is None:
        return values, values
    factors = keras.ops.convert_to_numpy(factors)
    return np.rint(np.divide(values, factors, out=np.zeros_like(values), where=factors != 0)), values


def _channels_last(layer: Any, part: Any, kernel: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(getattr(layer, part.channels_last)(keras.ops.convert_to_tensor(kernel))))
