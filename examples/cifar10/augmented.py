"""Batches of augmented images, for every backend of Keras."""

import keras
import numpy as np

MEAN_PIXEL = 110  # what a hole is filled with


class Augmented(keras.utils.PyDataset):
    """Batches of images shifted by up to 4 pixels (zeros come in), flipped with probability one half, and with a hole."""

    def __init__(self, images, labels, batch_size, seed, hole=0):
        super().__init__()
        self.padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
        self.labels, self.batch_size = labels, batch_size
        self.size = images.shape[1]
        self.seed, self.hole = seed, hole
        self.begin(0)

    def begin(self, epoch):
        self.order = np.random.default_rng((self.seed, epoch)).permutation(len(self.labels))
        self.epoch = epoch

    def __len__(self):
        return len(self.labels) // self.batch_size

    def __getitem__(self, index):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        rng = np.random.default_rng((self.seed, self.epoch, index))
        top, left = rng.integers(0, 9, (2, len(rows), 1))
        steps = np.arange(self.size)
        columns = np.where(rng.random((len(rows), 1)) < 0.5, steps[::-1], steps) + left
        images = self.padded[rows[:, None, None], (top + steps)[:, :, None], columns[:, None, :]]
        return self._with_holes(images, rng) if self.hole else images, self.labels[rows]

    def _with_holes(self, images, rng):
        """Cutout (DeVries and Taylor, arXiv:1708.04552): a square around a random pixel takes the mean colour."""
        centre = rng.integers(0, self.size, (2, len(images), 1))
        rows, columns = np.abs(np.arange(self.size) - centre) < self.hole // 2
        return np.where((rows[:, :, None] & columns[:, None, :])[..., None], MEAN_PIXEL, images).astype(images.dtype)
