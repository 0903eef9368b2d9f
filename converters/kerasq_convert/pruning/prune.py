"""The stage that leaves out of a finished network what can't change its outputs, until there is nothing more."""

from __future__ import annotations

import dataclasses
import re

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator
from kerasq_convert.memory.plan import plan_memory
from kerasq_convert.network import PRUNED
from kerasq_convert.pruning.channels import kept_channels
from kerasq_convert.pruning.intervals import intervals_of
from kerasq_convert.pruning.operators import simplified
from kerasq_convert.pruning.rewriting import without_channels

ROUNDS = 100  # more than any network has layers that depend on each other so


@dataclasses.dataclass(frozen=True)
class PrunedLayer:
    """What an operator was and is; all is 0 where it is gone.

    Attributes:
        name: Of the tensor that it computes.
        channels, macs, nbytes: Output channels, multiply-accumulates and bytes of constants, before and after.
    """

    name: str
    channels: tuple[int, int]
    macs: tuple[int, int]
    nbytes: tuple[int, int]


def prune(model: Model) -> Model:
    """A network that gives the same outputs, bit for bit, for all inputs that there are; itself where there is nothing to gain.

    Removing channels makes ranges of sums no wider and kernels sparser, so that more may go: it is done until nothing changes.
    Inputs and outputs keep names, shapes and formats, and what stays keeps its name.

    Args:
        model: A sound network, planned.
    """
    pruned = model
    for _ in range(ROUNDS):
        smaller = _step(pruned)
        if _size(smaller) == _size(pruned):
            break
        pruned = smaller
    if pruned is model:
        return model
    planned = plan_memory(_named_as_before(pruned, model))
    if _size(planned)[:2] == _size(model)[:2] and planned.arena_bytes > model.arena_bytes:
        return model
    return dataclasses.replace(planned, metadata=planned.metadata | ({PRUNED: "yes"} if pruned_layers(model, planned) else {}))


def _step(model: Model) -> Model:
    ranges, unclamped = intervals_of(model)
    before, model = model, simplified(model, ranges, unclamped)
    # Simplified, some operator reads something else, or some tensor is gone; else every tensor has its number still.
    if model.operators != before.operators or len(model.tensors) != len(before.tensors):
        ranges, _ = intervals_of(model)
    changing: set[tuple[int, int]] = set()
    while True:
        keep = kept_channels(model, ranges, changing)
        if all(channels.all() for channels in keep.values()):
            return model
        smaller, unheld = without_channels(model, keep, ranges)
        if not unheld:
            return smaller
        changing |= unheld


def _size(model: Model) -> tuple[int, int, int, int]:
    """What pruning makes smaller: channels, operators, tensors, clamps."""
    channels = sum(model.output(operator).shape[-1] for operator in model.operators)
    clamps = sum(operator.clamp is not None for operator in model.operators)
    return (
        channels,
        len(model.operators),
        len(model.tensors),
        clamps + sum(1 for operator in model.operators for _ in operator.inputs),
    )


def _named_as_before(pruned: Model, model: Model) -> Model:
    """Constants that took the place of others take their names, where nothing else has them."""
    names = {tensor.name for tensor in pruned.tensors}
    before, tensors = {tensor.name for tensor in model.tensors}, []
    for tensor in pruned.tensors:
        name = tensor.name
        while name not in before and (shorter := re.sub(r":\d+$", "", name)) != name:
            name = shorter
        if name != tensor.name and name not in names:
            names.add(name)
            tensor = dataclasses.replace(tensor, name=name)
        tensors.append(tensor)
    return dataclasses.replace(pruned, tensors=tuple(tensors))


def pruned_layers(before: Model, after: Model) -> list[PrunedLayer]:
    """The operators that became smaller or went, in the order of execution."""
    present = {after.output(operator).name: operator for operator in after.operators}
    layers = []
    for operator in before.operators:
        name = before.output(operator).name
        was = _facts(before, operator)
        now = _facts(after, present[name]) if name in present else (0, 0, 0)
        if was[:2] != now[:2]:
            channels, macs, nbytes = zip(was, now, strict=True)
            layers.append(PrunedLayer(name, channels, macs, nbytes))
    return layers


def _facts(model: Model, operator: Operator) -> tuple[int, int, int]:
    read = {index for index in operator.inputs if index != ABSENT}
    nbytes = sum(model.tensors[index].nbytes for index in read if model.tensors[index].is_constant)
    return model.output(operator).shape[-1], ops.macs(model, operator), nbytes
