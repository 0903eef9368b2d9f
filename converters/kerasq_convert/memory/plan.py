"""The memory plan: the order of the operators, and where in the arena each activation lies.

order.py looks for the order that keeps the fewest bytes alive, placement.py for the places. Outputs may lie over their inputs
where kerasq.verification.overlap allows it: element-wise operators and reshapes work in place.
"""

from __future__ import annotations

import dataclasses
import functools

from kerasq.format import Model
from kerasq.verification.plan import aligned, lower_bound, overlaps, profile
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


def plan(model: Model) -> Plan:
    """`plan_memory`, and what is known of the smallest arena."""
    order, bound_of_orders = best_order(model)
    model = _ordered(model, order)
    indices, problem = _problem(model)
    live = profile(model)
    placement = _placed(problem, lower_bound(model), live.index(max(live)) - 1)
    offsets = dict(zip(indices, placement.offsets, strict=True))
    tensors = tuple(
        dataclasses.replace(tensor, offset=offsets[index]) if index in offsets else tensor
        for index, tensor in enumerate(model.tensors)
    )
    return Plan(dataclasses.replace(model, tensors=tensors, arena_bytes=placement.height), placement.bound, bound_of_orders)


def _ordered(model: Model, order: list[int]) -> Model:
    test = model.test
    if test is not None:
        test = dataclasses.replace(test, checksums=tuple(test.checksums[position] for position in order))
    return dataclasses.replace(model, operators=tuple(model.operators[position] for position in order), test=test)


def _problem(model: Model) -> tuple[list[int], Problem]:
    """The activations of an ordered model as buffers to be placed."""
    spans = model.lifetimes()
    indices = list(spans)
    number = {index: k for k, index in enumerate(indices)}
    over = [
        ((number[operator.outputs[0]], number[index]), aligned(below, model.arena_alignment))
        for position, operator in enumerate(model.operators)
        for index, below in overlaps(model, position, spans).items()
    ]
    sizes = tuple(aligned(model.tensors[index].nbytes, model.arena_alignment) for index in indices)
    return indices, Problem(sizes, tuple(spans.values()), tuple(over))


@functools.lru_cache(maxsize=64)
def _placed(problem: Problem, bound: int, peak: int) -> Placement:
    """A search for formats plans networks of the same sizes again and again: the last placements are remembered."""
    if len(problem.sizes) > MAX_SEARCHED:
        return place(problem, bound, steps=0)
    return improved(problem, place(problem, bound), peak)
