"""Metrics of a training under quantization."""

import kerasq.quiet_keras  # noqa: F401  (before Keras is imported)
from kerasq.metrics.flip_ratio import FlipRatio

__all__ = ["FlipRatio"]
