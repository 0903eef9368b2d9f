"""Models of one operator whose output lies over an input, as far below it as it must, or as is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np

from kerasq.format import Model
from kerasq.verification import overlap
from kerasq.verification.plan import aligned

ALIGNMENT = 4


def distances(model: Model) -> dict[int, int]:
    """For each input that the output of the only operator may lie over, by how much below, as the rule says."""
    (operator,) = model.operators
    inputs = [index for index in dict.fromkeys(operator.inputs) if index in model.lifetimes()]
    found = {index: overlap.distance(model, operator, index) for index in inputs if index not in model.outputs}
    return {index: distance for index, distance in found.items() if distance is not None}


def overlapped(model: Model, over: int, below: int) -> Model:
    """The output at the beginning of the arena, the input `over` so many bytes above, other activations behind both."""
    (output,) = model.operators[0].outputs
    places = {output: 0, over: aligned(below, ALIGNMENT)}
    end = max(place + model.tensors[index].nbytes for index, place in places.items())
    for index in model.lifetimes():
        if index not in places:
            places[index] = aligned(end, ALIGNMENT)
            end = places[index] + model.tensors[index].nbytes
    tensors = tuple(
        dataclasses.replace(tensor, offset=places.get(index, tensor.offset)) for index, tensor in enumerate(model.tensors)
    )
    return dataclasses.replace(model, tensors=tensors, arena_bytes=aligned(end, ALIGNMENT), arena_alignment=ALIGNMENT)


def compared_at_every_distance(
    model: Model, outputs: Callable[..., np.ndarray], tiers: Iterable[str], step: int, label: str
) -> int:
    """Asserts that values are those of an output that lies apart, from the least distance that the rule allows on; how many
    networks had their output over an input.

    Args:
        model: Of one operator.
        outputs: (model, isa=...) -> the network's outputs.
        tiers: Sets of kernels to compute with.
        step: Bytes from one distance to the next.
        label: What the model is called where values differ.
    """
    size, compared = model.output(model.operators[0]).nbytes, 0
    for index, least in distances(model).items():
        expected = outputs(overlapped(model, index, size), isa="portable")
        for below in {*range(least, min(size, least + 400), step), least + ALIGNMENT}:
            for tier in tiers:
                found = outputs(overlapped(model, index, below), isa=tier)
                np.testing.assert_array_equal(found, expected, err_msg=f"{label}, {index}, {below}, {tier}")
            compared += below < size
    return compared
