"""kerasq_convert: from a Keras model to one .kq file.

pipeline.py has the stages in a row; each has a folder, and kerasq/ARCHITECTURE.md tells what is in which.
"""

from kerasq_convert.converter import Converter, convert
from kerasq_convert.errors import ConversionError, GoalsMissedError
from kerasq_convert.frontend.frozen import serving_function
from kerasq_convert.frontend.sources import load_keras_file
from kerasq_convert.pipeline import compare_with_float, float_model
from kerasq_convert.quantization import quantize_model, strip
from kerasq_convert.report.fit import fit_on
from kerasq_convert.report.of_file import file_report
from kerasq_convert.summarizing import summary

__all__ = [
    "ConversionError",
    "Converter",
    "GoalsMissedError",
    "compare_with_float",
    "convert",
    "file_report",
    "fit_on",
    "float_model",
    "load_keras_file",
    "quantize_model",
    "serving_function",
    "strip",
    "summary",
]
