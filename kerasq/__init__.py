"""kerasq: binary and fixed-point networks, from Keras 3 to a machine without floating point.

Importing kerasq and running a model needs NumPy and flatbuffers only; Keras and TensorFlow are imported when a layer, a
callback, a model of the zoo or the converter is first touched.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from kerasq.complete import check_one_distribution, needed

__version__ = "0.1.0"

# Public name -> module that defines it; imported on first use (PEP 562).
_NAMES = {
    "QFormat": "kerasq.qformat",
    "Interpreter": "kerasq.interpreter",
    "BinaryConnectConv2D": "kerasq.layers",
    "BinaryConnectDense": "kerasq.layers",
    "BinaryWeightConv2D": "kerasq.layers",
    "BinaryWeightDense": "kerasq.layers",
    "FixedPointQuantize": "kerasq.layers",
    "FixedPointQuantizedConv2D": "kerasq.layers",
    "FixedPointQuantizedDense": "kerasq.layers",
    "ConversionError": "kerasq_convert",
    "Converter": "kerasq_convert",
    "compare_with_float": "kerasq_convert",
    "convert": "kerasq_convert",
    "file_report": "kerasq_convert",
    "fit_on": "kerasq_convert",
    "load_keras_file": "kerasq_convert",
    "quantize_model": "kerasq_convert",
    "serving_function": "kerasq_convert",
    "strip": "kerasq_convert",
    "summary": "kerasq_convert",
}
_MODULES = (
    "callbacks",
    "datasets",
    "format",
    "interpreter",
    "layers",
    "metrics",
    "models",
    "ops",
    "plots",
    "qformat",
    "quantizers",
    "runtime",
    "statistics",
    "training",
)

__all__ = ["__version__", *_NAMES, *_MODULES]

check_one_distribution()


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        try:
            return getattr(importlib.import_module(_NAMES[name]), name)
        except ModuleNotFoundError as error:
            if error.name not in ("kerasq_convert", "keras", "tensorflow", "yaml"):
                raise
            raise needed(f"kerasq.{name}", error.name) from None
    if name in _MODULES:
        return importlib.import_module(f"kerasq.{name}")
    raise AttributeError(f"module 'kerasq' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


if sys.modules.get("keras"):  # Keras is paid for already: register the layers, so that keras.models.load_model knows them
    importlib.import_module("kerasq.layers")
