"""Ways to train a network that will be quantized."""

import kerasq.quiet_keras  # noqa: F401  (before Keras is imported)
from kerasq.training.distilled import Distilled
from kerasq.training.harden import harden

__all__ = ["Distilled", "harden"]
