"""The names of kerasq for type checkers and editors: `__init__.py` imports them when they are first used."""

from kerasq import callbacks as callbacks
from kerasq import datasets as datasets
from kerasq import format as format
from kerasq import interpreter as interpreter
from kerasq import layers as layers
from kerasq import models as models
from kerasq import ops as ops
from kerasq import plots as plots
from kerasq import qformat as qformat
from kerasq import quantizers as quantizers
from kerasq import runtime as runtime
from kerasq import statistics as statistics
from kerasq.interpreter import Interpreter as Interpreter
from kerasq.layers import BinaryConnectConv2D as BinaryConnectConv2D
from kerasq.layers import BinaryConnectDense as BinaryConnectDense
from kerasq.layers import BinaryWeightConv2D as BinaryWeightConv2D
from kerasq.layers import BinaryWeightDense as BinaryWeightDense
from kerasq.layers import FixedPointQuantize as FixedPointQuantize
from kerasq.layers import FixedPointQuantizedConv2D as FixedPointQuantizedConv2D
from kerasq.layers import FixedPointQuantizedDense as FixedPointQuantizedDense
from kerasq.qformat import QFormat as QFormat
from kerasq_convert import ConversionError as ConversionError
from kerasq_convert import Converter as Converter
from kerasq_convert import compare_with_float as compare_with_float
from kerasq_convert import convert as convert
from kerasq_convert import load_keras_file as load_keras_file
from kerasq_convert import serving_function as serving_function

__version__: str
