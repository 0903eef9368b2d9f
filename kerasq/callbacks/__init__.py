"""Callbacks for `fit`."""

import kerasq.quiet_keras  # noqa: F401  (before Keras is imported)
from kerasq.callbacks.activation_statistics import ActivationStatistics
from kerasq.callbacks.fold_batch_norm import FoldBatchNorm

__all__ = ["ActivationStatistics", "FoldBatchNorm"]
