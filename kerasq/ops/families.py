"""Which families of formats a tensor may have, by the part that it plays: the one list of each.

A family is a format without its number of fractional bits (`QFormat.family`). They stand in the order of the schema's enum.
"""

from __future__ import annotations

ACTIVATIONS = ("FLOAT32", "FIXED8", "FIXED16", "UFIXED8", "UFIXED16")
KERNELS = ("FLOAT32", "FIXED4", "FIXED8", "FIXED16", "SIGN", "FIXED2")
VECTORS = ("FLOAT32", "FIXED4", "FIXED8", "FIXED16", "FIXED32")  # multipliers and biases
TABLES = ("FIXED8", "FIXED16", "UFIXED8", "UFIXED16")  # of a function: stored values of an activation that is not FLOAT32
GATHERED = (*KERNELS, "UFIXED8", "UFIXED16")  # a table of rows: a kernel's weights, or stored values of an activation
EXPONENTIALS = ("UFIXED16",)  # the table of a softmax
EPSILONS = ("FLOAT32", "FIXED16")  # what a normalization adds to the variance
