"""Callbacks for `fit`."""

from kerasq.callbacks.activation_statistics import ActivationStatistics

__all__ = ["ActivationStatistics"]
