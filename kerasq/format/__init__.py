"""The .kq file: one network in Q-formats, its constants packed, its memory plan included.

    model = kerasq.format.load("model.kq")          # or loads(bytes); ModelError lists everything that is wrong
    kerasq.format.dump(model, "copy.kq")            # or dumps(model): the same model gives the same bytes

kerasq.fbs is the schema and model.py the same as Python values; packing.py says how constants lie in the file; structure.py and
reader.py hold the rules by which bytes are a model. Whether a model is a network that runs in bounds is asked one room above,
in kerasq.verification, and so are `load`, `loads`, `dump`, `dumps` and `verify` made there: they are names of this package that
are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kerasq.format.errors import ModelError, ModelTooLargeError
from kerasq.format.model import Model, Operator, OperatorKind, SelfTest, Tensor

if TYPE_CHECKING:
    from kerasq.verification.files import dump, dumps, load, loads
    from kerasq.verification.verifier import verify

# Public name -> module that defines it; imported on first use (PEP 562).
_NAMES = {
    "dump": "kerasq.verification.files",
    "dumps": "kerasq.verification.files",
    "load": "kerasq.verification.files",
    "loads": "kerasq.verification.files",
    "verify": "kerasq.verification.verifier",
}

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


if not TYPE_CHECKING:  # a type checker has the imports above, and tells a name that is not there

    def __getattr__(name: str) -> Any:
        if name in _NAMES:
            return getattr(importlib.import_module(_NAMES[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
