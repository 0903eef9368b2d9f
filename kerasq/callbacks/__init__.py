"""Callbacks for `fit`."""

import kerasq.quiet_keras  # noqa: F401  (before Keras is imported)
from kerasq.callbacks.activation_statistics import ActivationStatistics
from kerasq.callbacks.flip_ratios import FlipRatios
from kerasq.callbacks.fold_batch_norm import FoldBatchNorm
from kerasq.callbacks.freeze_flips import FreezeFlips
from kerasq.callbacks.reestimate_batch_norm import ReestimateBatchNorm

__all__ = ["ActivationStatistics", "FlipRatios", "FoldBatchNorm", "FreezeFlips", "ReestimateBatchNorm"]
