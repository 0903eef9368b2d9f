"""Statistics of all activations and kernels while a network trains: what a converter needs to choose formats."""

from __future__ import annotations

import hashlib
import os
import pathlib
from typing import Any

import keras

from kerasq.callbacks.positions import positions
from kerasq.callbacks.probe import Probe
from kerasq.callbacks.samples import Sample
from kerasq.callbacks.tensorboard import HistogramWriter
from kerasq.statistics import FILE_NAME, Statistics


class ActivationStatistics(keras.callbacks.Callback):
    """Collects range, moments and a histogram of every activation and of every kernel while `fit` runs.

    After each epoch (or every so many batches) the network runs, as in inference, over a sample of inputs, and
    `log_dir/activation_statistics.json` is replaced by what its present weights give: never a mixture of old weights and
    new ones. `kerasq-convert --statistics log_dir` reads it. Under the TensorFlow backend, histograms for TensorBoard are
    added to an event file in the same folder, and, over time, what quantizers learn: `conv1/kernel/frac_bits`, the position,
    and its parameters; under others there is only the file. `positions` has the same on every backend.

    A tensor's name is that of its layer: `conv1/output`, `conv1/kernel` (the quantized kernel, where the layer has one);
    a network's input has its own name (`image`). The layers of a nested model carry its name as a path:
    `block/conv1/output`. A layer that is called several times has one entry over all its calls; the second output of
    a layer with several is `split/output:1`. What the activation function inside a layer reads is
    `dense/before_activation`. Under the TensorFlow backend the model is traced as for an export, and what else a converted
    network could store is there, too: tensors inside of a layer of one's own, and of subclassed models.

    Cost: one pass of inference over the sample and about 10 ns for each value of each layer output, and memory for all
    layer outputs of one batch. For ResNet23 and 512 images that is about 8 s beside an epoch of 200 s on two slow cores
    (1.5 million values an image), and 0.4 GB; 64 images are enough to follow the ranges during training.

    Args:
        log_dir: Folder to write; it is made where it does not exist.
        data: Inputs of the network: an array; a tuple, list or dictionary (by input name) of arrays where there are
            several; or an iterable of batches as `fit` takes them (`tf.data.Dataset`, `PyDataset`, generator); or a
            function without arguments that gives one of these.
        batch_size: Samples per batch, where `data` is arrays.
        batches: How many batches to take from an iterable, once, when the callback is made; they are kept in memory.
            Arrays are used whole.
        frequency: `"epoch"`, or a number of training batches.
        histograms: Whether to write histograms for TensorBoard.

    Raises:
        ValueError: An argument is of no use, or (when training begins) the model is not built, or does not take `data`, or is
            subclassed, under another backend than TensorFlow.

    Example:

    >>> callback = kerasq.callbacks.ActivationStatistics("run/statistics", x_train[:512])
    >>> model.fit(x_train, y_train, callbacks=[callback])
    >>> callback.statistics["conv1/output"].percentile(99.9)
    3.1
    >>> print(callback.to_text())
    >>> callback.positions["conv1/kernel/frac_bits"]  # one of each collection, where a quantizer learns
    [6.0, 6.0, 7.0]

    Notes:
        List it after callbacks that change weights when training ends (`EarlyStopping(restore_best_weights=True)`,
        `SwapEMAWeights`): where the weights have changed since the last collection, it collects once more at the end.
        A run that `BackupAndRestore` resumes needs nothing special: there is no state that outlives a collection.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        data: Any,
        *,
        batch_size: int = 64,
        batches: int = 4,
        frequency: str | int = "epoch",
        histograms: bool = True,
    ) -> None:
        super().__init__()
        if frequency != "epoch" and (isinstance(frequency, (bool, str)) or not isinstance(frequency, int) or frequency < 1):
            raise ValueError(f'`frequency` must be "epoch" or a positive number of batches. Received: frequency={frequency!r}')
        self.log_dir = pathlib.Path(log_dir)
        self.path = self.log_dir / FILE_NAME
        self.frequency = frequency
        self.histograms = histograms
        self._sample = Sample(data, batch_size, batches)
        self.positions: dict[str, list[float]] = {}
        self._statistics: Statistics | None = None
        self._probe: Probe | None = None
        self._probed: keras.Model | None = None
        self._writer: HistogramWriter | None = None
        self._weights_seen = b""
        self._epoch = 0
        self._batch_in_epoch = 0
        self._batches = 0

    @property
    def statistics(self) -> Statistics:
        """The statistics collected last.

        Raises:
            RuntimeError: None have been collected yet.
        """
        if self._statistics is None:
            raise RuntimeError("There are no statistics yet: they are collected while `fit` runs with this callback")
        return self._statistics

    def to_text(self, bits: int = 8) -> str:
        """The statistics as a table, with the share that each candidate format of `bits` bits would saturate."""
        return self.statistics.to_text(bits)

    def summary(self, bits: int = 8) -> None:
        """Prints the table."""
        print(self.to_text(bits))

    def collect(self) -> Statistics:
        """Collects the statistics of the model's present weights, and writes the file."""
        model = self.model  # under JAX this fetches the training step's weights into the model
        probe = self._prepared(model)
        statistics = probe.collect(self._sample)
        statistics.metadata = {"model": model.name, "samples": self._sample.size, "epoch": self._epoch}
        statistics.save(self.path)
        for name, value in positions(probe.layers).items():
            self.positions.setdefault(name, []).append(value)
        self._weights_seen = _digest(model)
        self._statistics = statistics
        return statistics

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._prepared(self.model)  # what can't work is refused before the model has trained for an hour
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._batch_in_epoch = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # With steps_per_execution, `batch` advances by several.
        before, self._batches = self._batches, self._batches + batch + 1 - self._batch_in_epoch
        self._batch_in_epoch = batch + 1
        if isinstance(self.frequency, int) and self._batches // self.frequency > before // self.frequency:
            self._collect_at(int(self.model.optimizer.iterations))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.frequency == "epoch":
            self._collect_at(epoch)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if _digest(self.model) != self._weights_seen:
            self.collect()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _prepared(self, model: keras.Model) -> Probe:
        """The probe of `model`, which takes the sample, and the folder to write."""
        if self._probe is None or self._probed is not model:
            self._probe, self._probed = Probe(model), model
            self._sample.settle(len(getattr(model, "inputs", None) or [None]))
            self._probe.check(next(iter(self._sample)))
        self.log_dir.mkdir(parents=True, exist_ok=True)
        return self._probe

    def _collect_at(self, step: int) -> None:
        statistics = self.collect()
        if self.histograms and keras.backend.backend() == "tensorflow":
            self._writer = self._writer or HistogramWriter(self.log_dir)
            self._writer.write(statistics, step)
            self._writer.write_scalars({name: values[-1] for name, values in self.positions.items()}, step)


def _digest(model: keras.Model) -> bytes:
    """Equal as long as no weight has changed."""
    digest = hashlib.blake2b()
    for weight in model.weights:
        digest.update(keras.ops.convert_to_numpy(weight).tobytes())
    return digest.digest()
