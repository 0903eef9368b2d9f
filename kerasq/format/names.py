"""Names that a file need not hold, since they follow from others (version 3 of the file format).

A tensor may be without a name unless it is an input or an output of the network. It is then called, k being the position of the
operator that computes or reads it first,

    k/output             what operator k computes
    k/kernel             its kernel
    OWNER/OPERAND        another constant that it reads: `conv1/bias` beside `conv1/kernel`; without a kernel, after its output

with `:1`, `:2` ... where another tensor is called so. So the multipliers and biases that a conversion names cost a file nothing,
and a network whose layers nobody needs to know (`stripped`) has no names but those of its inputs and outputs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from kerasq.format.model import Model, Operator, OperatorKind
from kerasq.format.schema import MAX_NAME_BYTES

_WEIGHTED = {"kernel": 1, "multiplier": 2, "bias": 3}
# Operands that are constants, and where an operator lists them; those of a kind that is not here are named in the file. (Rows in
# kerasq.ops say the same, as a test finds, but who runs a file in the native engine does without these.)
CONSTANTS = {
    OperatorKind.CONV_2D: _WEIGHTED,
    OperatorKind.DENSE: _WEIGHTED,
    OperatorKind.SOFTMAX: {"table": 1},
    OperatorKind.LOOKUP: {"table": 1},
    OperatorKind.GATHER: {"table": 1},
    OperatorKind.NORMALIZE: {"epsilon": 1},
}
_LONGEST = MAX_NAME_BYTES - 64  # bytes of a name that others may follow from


def named(model: Model) -> Model:
    """`model` with a name for every tensor that has none; inputs and outputs without one are left for the verifier to refuse."""
    names = [tensor.name for tensor in model.tensors]
    if all(names):
        return model
    taken, ends, numbers = set(names), {*model.inputs, *model.outputs}, dict[str, int]()
    for index, name in _implied(model, names):
        if not names[index] and index not in ends:
            names[index] = _unique(name, taken, numbers)
    return _renamed(model, names)


def without_implied(model: Model) -> Model:
    """`model` without the names that `named` gives it back: what is written."""
    names = [tensor.name for tensor in model.tensors]
    ends, left = {*model.inputs, *model.outputs}, list(names)
    for index, name in _implied(model, names):
        if names[index] == name and index not in ends:
            left[index] = ""
    shorter = _renamed(model, left)
    return shorter if [tensor.name for tensor in named(shorter).tensors] == names else model


def stripped(model: Model) -> Model:
    """`model` with no names but those of its inputs and outputs, and such as follow from nothing."""
    ends = {*model.inputs, *model.outputs}
    return named(_renamed(model, [tensor.name if index in ends else "" for index, tensor in enumerate(model.tensors)]))


def _implied(model: Model, names: list[str]) -> Iterator[tuple[int, str]]:
    """Index and name of each tensor in the order of the operators; `names`, with those so far, may be changed meanwhile.

    Nothing of the model is verified.
    """
    count = len(model.tensors)
    for position, operator in enumerate(model.operators):
        yield from ((index, f"{position}/output") for index in operator.outputs if 0 <= index < count)
        places = CONSTANTS.get(operator.kind, {}).items()
        constants = {name: index for name, place in places for at, index in enumerate(operator.inputs) if at == place}
        constants = {name: index for name, index in constants.items() if 0 <= index < count}
        if "kernel" in constants:
            yield constants["kernel"], f"{position}/kernel"
        owner = _owner(operator, constants, names, position)
        yield from ((index, f"{owner}/{name}") for name, index in constants.items() if name != "kernel")
    yield from ((index, f"{index}/constant") for index in range(count))  # what no operator uses


def _owner(operator: Operator, constants: dict[str, int], names: list[str], position: int) -> str:
    """What constants of an operator, other than its kernel, are named after."""
    if "kernel" in constants:
        owner = names[constants["kernel"]].removesuffix("/kernel")
    else:
        owner = next((names[index] for index in operator.outputs if 0 <= index < len(names)), "")
    return owner if 0 < len(owner.encode(errors="surrogatepass")) <= _LONGEST else str(position)


def _unique(name: str, taken: set[str], numbers: dict[str, int]) -> str:
    """`name`, with a number where it is taken; then it is. `numbers` has the last one that each name got."""
    numbered = name
    while numbered in taken:
        numbers[name] = numbers.get(name, 0) + 1
        numbered = f"{name}:{numbers[name]}"
    taken.add(numbered)
    return numbered


def _renamed(model: Model, names: list[str]) -> Model:
    pairs = zip(model.tensors, names, strict=True)
    tensors = (tensor if tensor.name == name else dataclasses.replace(tensor, name=name) for tensor, name in pairs)
    return dataclasses.replace(model, tensors=tuple(tensors))
