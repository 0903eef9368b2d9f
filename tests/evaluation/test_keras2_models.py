"""Files that Keras 2 wrote after training: a SavedModel that today's loader refuses, and HDF5."""

import pathlib
import zipfile

import numpy as np

from kerasq.evaluation import evaluate

ARCHIVE = pathlib.Path(__file__).parents[1] / "data" / "keras2_trained.zip"
# Two convolutions and the dense layer, their biases, two batch normalizations of four vectors; no optimizer.
VALUES = 3 * 3 * 3 * 6 + 3 * 3 * 6 + 6 * 4 + 6 + 4 + 2 * 4 * 6


def test_accuracy_and_size(tmp_path):
    zipfile.ZipFile(ARCHIVE).extractall(tmp_path)
    expected = np.load(tmp_path / "keras2_trained_expected.npz")
    labels = expected["y"].argmax(axis=1)
    results = evaluate([tmp_path / "keras2_trained", tmp_path / "keras2_trained.h5"], expected["x"], labels, classes=4)
    assert [(result.top1, result.agreement, result.model_bytes) for result in results] == [(1.0, 1.0, 4 * VALUES)] * 2
    # The first activation lies over the image and begins below it by a pixel of 6 maps, 24 bytes in steps of 16.
    assert results[0].arena_bytes == results[1].arena_bytes == 4 * 12 * 12 * 3 + 32
