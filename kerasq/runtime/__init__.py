"""The runtime in C from Python: the shared library that CMakeLists.txt builds, loaded through ctypes.

    network = kerasq.runtime.Network(open("model.kq", "rb").read())       # isa="portable" for the kernels in C99 alone
    network.run(network.arena(), [images], [scores])

This is the thin layer under `kerasq.Interpreter`, which is what most programs want. library.py finds and loads the library,
network.py holds a network in it. include/, src/ and tools/ are C; a firmware compiles them without any of this.
"""

from kerasq.runtime.library import DSP, LibraryMissingError, available, multiply, tiers
from kerasq.runtime.network import Network, OperatorInfo

__all__ = ["DSP", "LibraryMissingError", "Network", "OperatorInfo", "available", "multiply", "tiers"]
