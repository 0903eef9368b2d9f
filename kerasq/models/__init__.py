"""Networks of the literature, built from any layer family."""

import kerasq.quiet_keras  # noqa: F401  (before Keras is imported)
from kerasq.models.mobilenet import mobilenet
from kerasq.models.resnet23 import resnet23

__all__ = ["mobilenet", "resnet23"]
