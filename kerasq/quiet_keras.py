"""Imports Keras, and with it mostly TensorFlow, without the latter's log: packages that need Keras import this first."""

from kerasq.quiet import import_quietly

import_quietly("keras")
