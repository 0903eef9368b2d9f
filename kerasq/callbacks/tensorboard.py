"""Histograms for TensorBoard, straight from the bins that are there already, and scalars.

Events are written through TensorFlow's own summary writer, so the package `tensorboard` need not be installed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasq.histogram import BINS, Histogram
from kerasq.statistics import Statistics

BUCKETS = 64


class HistogramWriter:
    """Appends the histograms of `Statistics` to an event file in a folder.

    Args:
        log_dir: The folder, for `tensorboard --logdir`.
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        import tensorflow as tf

        self._tf = tf
        self._writer = tf.summary.create_file_writer(os.fspath(log_dir))
        # What the dashboards ask of a summary; see the tensorboard package, plugins/*/metadata.py.
        self._histogram = self._metadata("histograms", "DATA_CLASS_TENSOR")
        self._scalar = self._metadata("scalars", "DATA_CLASS_SCALAR")

    def _metadata(self, plugin: str, data_class: str) -> Any:
        summary = self._tf.compat.v1.SummaryMetadata
        return summary(plugin_data=summary.PluginData(plugin_name=plugin), data_class=data_class)

    def write(self, statistics: Statistics, step: int) -> None:
        """Appends every histogram under its tensor's name."""
        with self._writer.as_default():
            for name, histogram in statistics.items():
                self._tf.summary.write(name, buckets(histogram), step, self._histogram)
        self._writer.flush()

    def write_scalars(self, values: Mapping[str, float], step: int) -> None:
        """Appends numbers under their names."""
        with self._writer.as_default():
            for name, value in values.items():
                self._tf.summary.write(name, np.float32(value), step, self._scalar)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def buckets(histogram: Histogram) -> np.ndarray:
    """At most `BUCKETS` + 1 equal buckets over the occupied range.

    Returns:
        float64 array `(buckets, 3)`: left edge, right edge, number of values; exact zeros are in the bucket [0, ...).
    """
    counts = histogram.bins.copy()
    counts[BINS // 2] += histogram.zeros
    occupied = np.flatnonzero(counts)
    if not occupied.size:
        return np.zeros((0, 3))
    span = int(occupied[-1] - occupied[0]) + 1
    group = 1 << max(0, (span - 1).bit_length() - BUCKETS.bit_length() + 1)  # bins to a bucket, a power of two
    first, last = int(occupied[0]) // group, int(occupied[-1]) // group + 1
    totals = counts.reshape(-1, group).sum(axis=1)[first:last]
    edges = (np.arange(first, last + 1) * group - BINS // 2) * histogram.bin_width
    return np.stack([edges[:-1], edges[1:], totals], axis=1)
