"""The case of every kind of operator: a module named after it, so that a kind without one is an error wherever kinds are tested.

A case has

* `valid(net, buffers, **attributes)`: adds a sound operator that has every operand, and returns its output;
* `RANDOM`: by name, functions from a random generator to a model of one sound operator;
* `exact(model, operator, *inputs)`: the real values of its output, in exact rationals (tests/exact_oracle.py rounds them);
* `BROKEN`: names of tensors, changes of them that break a rule, and what the problem then says (None: it depends);
* `BROKEN_ATTRIBUTES`, where the kind has rules for them: changes of attributes, and what the problem then says.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from kerasq.format.model import OperatorKind

CASES: dict[OperatorKind, ModuleType] = {kind: importlib.import_module(f"operator_cases.{kind.lower()}") for kind in OperatorKind}
