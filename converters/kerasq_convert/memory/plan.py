"""The memory plan: the order of the operators, and where in the arena each activation lies.

order.py looks for the order that keeps the fewest bytes alive, placement.py for the places. Outputs may lie over their inputs
where kerasq.verification.overlap allows it: element-wise operators and reshapes work in place. Scratch memory that operators ask
for is a buffer that is alive during one of them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection

from kerasq.format import Model
from kerasq.verification.plan import aligned, overlaps, profile
from kerasq_convert.memory.order import best_order
from kerasq_convert.memory.placement import Placement, Problem, improved, place

MAX_SEARCHED = 200  # activations of a network whose placement is searched; larger ones are placed greedily


@dataclasses.dataclass(frozen=True)
class Plan:
    """A planned model, and how good the plan is.

    Attributes:
        model: With its operators in order and every activation in its place.
        bound: Bytes that no arena for this order of operators can do without.
        bound_of_orders: Bytes that none can do without in whatever order, or `None` where that is not known.
    """

    model: Model
    bound: int
    bound_of_orders: int | None

    @property
    def verdict(self) -> str:
        """How good the plan is, in words."""
        size = self.model.arena_bytes
        if size == self.bound_of_orders:
            return "optimal: no order of operators and no placement needs less"
        any_order = "" if self.bound_of_orders is None else f" (no order can do with less than {self.bound_of_orders:,})"
        if size == self.bound:
            return f"optimal for this order of operators{any_order}"
        return f"{size - self.bound:,} bytes above the lower bound {self.bound:,}{any_order}"


def plan_memory(model: Model) -> Model:
    """`model` with its operators in the best order found, an offset for every activation and the size of the arena."""
    return plan(model).model


def plan(model: Model, apart: Collection[int] = (), order: tuple[list[int], int | None] | None = None) -> Plan:
    """`plan_memory`, and what is known of the smallest arena.

    Args:
        model: To be planned; of an operator's scratch memory its size counts.
        apart: Outputs of operators that may not lie over what these read.
        order: What `best_order` says of the model, where that is known already.
    """
    positions, bound_of_orders = best_order(model) if order is None else order
    model = _ordered(model, positions)
    indices, scratch, problem = _problem(model, apart)
    live = profile(model)
    most = max(live)
    placement = _placed(problem, most, live.index(most) - 1)
    offsets = dict(zip(indices, placement.offsets, strict=False))
    tensors = tuple(
        dataclasses.replace(tensor, offset=offsets[index]) if index in offsets else tensor
        for index, tensor in enumerate(model.tensors)
    )
    places = dict(zip(scratch, placement.offsets[len(indices) :], strict=True))
    operators = tuple(
        operator.replace(scratch=(places[position], operator.scratch[1])) if position in places else operator
        for position, operator in enumerate(model.operators)
    )
    planned = dataclasses.replace(model, tensors=tensors, operators=operators, arena_bytes=placement.height)
    return Plan(planned, placement.bound, bound_of_orders)


def _ordered(model: Model, order: list[int]) -> Model:
    test = model.test
    if test is not None:
        test = dataclasses.replace(test, checksums=tuple(test.checksums[position] for position in order))
    return dataclasses.replace(model, operators=tuple(model.operators[position] for position in order), test=test)


def _problem(model: Model, apart: Collection[int]) -> tuple[list[int], list[int], Problem]:
    """What is to be placed: the activations of an ordered model, and the operators with scratch memory, in this order."""
    spans = model.lifetimes()
    indices = list(spans)
    number = {index: k for k, index in enumerate(indices)}
    over = [
        ((number[operator.outputs[0]], number[index]), aligned(below, model.arena_alignment))
        for position, operator in enumerate(model.operators)
        if operator.outputs[0] not in apart
        for index, below in overlaps(model, position, spans).items()
    ]
    scratch = [position for position, operator in enumerate(model.operators) if operator.scratch[1]]
    sizes = [model.tensors[index].nbytes for index in indices] + [model.operators[position].scratch[1] for position in scratch]
    times = (*spans.values(), *((position, position) for position in scratch))
    return indices, scratch, Problem(tuple(aligned(size, model.arena_alignment) for size in sizes), times, tuple(over))


@functools.lru_cache(maxsize=64)
def _placed(problem: Problem, bound: int, peak: int) -> Placement:
    """A search for formats plans networks of the same sizes again and again: the last placements are remembered."""
    if len(problem.sizes) > MAX_SEARCHED:
        return place(problem, bound, steps=0)
    return improved(problem, place(problem, bound), peak)
