"""Imports Keras, and with it mostly TensorFlow, without the latter's log: packages that need Keras import this first."""

from kerasq.complete import needed
from kerasq.quiet import import_quietly

try:
    import_quietly("keras")
except ModuleNotFoundError as error:
    if error.name not in ("keras", "tensorflow"):  # the backend, where it is not there
        raise
    raise needed("Training", error.name) from None
