"""The same network as a TFLite file, for LiteRT, TFLM and Netron: a way out, and a second opinion.

builder.py writes files; values.py says how TFLite has what we store, zeros.py which zero points; weighted.py, windows.py and
elementwise.py write the operators of each kind; export.py goes through the network. Nearly every output of an operator is equal,
others are one unit apart: LiteRT rounds halves its own way, and a convolution and its addend are two operators there, each of
which rounds.
"""

from kerasq_convert.tflite.export import TfliteError, TfliteFile, to_tflite

__all__ = ["TfliteError", "TfliteFile", "to_tflite"]
