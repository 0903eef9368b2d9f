"""The .kq file: one network in Q-formats, its constants packed, its memory plan included.

    model = kerasq.format.load("model.kq")          # or loads(bytes); ModelError lists everything that is wrong
    kerasq.format.dump(model, "copy.kq")            # or dumps(model): the same model gives the same bytes

kerasq.fbs is the schema and model.py the same as Python values; packing.py says how constants lie in the file; structure.py,
reader.py and verifier.py hold the rules by which a file is accepted.
"""

from kerasq.format.errors import ModelError, ModelTooLargeError
from kerasq.format.model import Model, Operator, OperatorKind, SelfTest, Tensor
from kerasq.format.reader import load, loads
from kerasq.format.writer import dump, dumps
from kerasq.verification.verifier import verify

__all__ = [
    "Model",
    "ModelError",
    "ModelTooLargeError",
    "Operator",
    "OperatorKind",
    "SelfTest",
    "Tensor",
    "dump",
    "dumps",
    "load",
    "loads",
    "verify",
]
