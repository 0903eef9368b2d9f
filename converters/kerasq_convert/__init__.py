"""kerasq_convert: from a Keras model to one .kq file.

pipeline.py has the stages in a row; each has a folder, and kerasq/ARCHITECTURE.md tells what is in which.
"""

from kerasq_convert.converter import Converter, convert
from kerasq_convert.errors import ConversionError, GoalsMissedError
from kerasq_convert.pipeline import float_model

__all__ = ["ConversionError", "Converter", "GoalsMissedError", "convert", "float_model"]
