"""Image sets for training and evaluation."""

from kerasq.datasets import cifar10, shapes

__all__ = ["cifar10", "shapes"]
