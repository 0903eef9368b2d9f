"""The memory plan of a model: what is alive when, whether places collide, and how small the arena could be.

An activation occupies its bytes, rounded up to the arena's alignment, from the operator that writes it (inputs of the network:
from before the first) to the last one that reads it (outputs: to the end). Tensors that are alive together may not overlap, with
one exception: the output of an operator may lie over inputs that nobody needs later, as far below them as
kerasq.verification.overlap says. Scratch memory of an operator, for kernels that want some, overlaps nothing that is alive then.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator

from kerasq import ops
from kerasq.format.model import Layout, Model, Operator, Tensor
from kerasq.verification import overlap

PLANNED_FOR_KERNELS_SINCE = 3  # scratch memory, and kernels whose rows lie in pairs
OVERLAPS_SINCE = 2  # version of the file format in which an output may lie over an input but not exactly in its place
FAMILIES_SINCE = {"FIXED2": 4}  # those that came later than the first version
ZEROS_SINCE = 6  # stored values other than 0 that mean 0


def aligned(size: int, alignment: int) -> int:
    """`size` rounded up to a multiple of `alignment`."""
    return -(-size // alignment) * alignment


def overlaps(model: Model, position: int, spans: dict[int, tuple[int, int]]) -> dict[int, int]:
    """The inputs that the output of operator `position` may lie over, and how many bytes below them it then begins at least.

    Args:
        spans: `model.lifetimes()`.
    """
    operator = model.operators[position]
    distances = {}
    for index in dict.fromkeys(operator.inputs):
        if index in spans and spans[index][1] == position:
            below = overlap.distance(model, operator, index)
            if below is not None:
                distances[index] = below
    return distances


def together(output: int, inputs: list[tuple[int, int]]) -> int:
    """Bytes that an output and the inputs that it may lie over take at least, all of them together.

    The inputs don't overlap each other. Of the output, whether it touches an input or not, as many bytes as it must begin below
    it, or all if it has no more, are none of that input's.

    Args:
        output: Bytes of the output.
        inputs: For each input its bytes, and by how many the output must begin below it. All rounded up to the alignment.
    """
    pairs = [size + min(below, output) for size, below in inputs]
    return max(output, sum(size for size, _ in inputs), *pairs)


def live_bytes(model: Model) -> list[int]:
    """Bytes that the activations alive during each operator, and its scratch memory, take at least, rounded up each to
    `model.arena_alignment`.

    Offsets are not looked at: they need not exist yet.
    """
    return profile(model)[1:-1]


def lower_bound(model: Model) -> int:
    """Bytes that no arena for this order of operators can do without: the most that is ever needed at once.

    A multiple of the alignment, as every tensor is rounded up to it: a plan whose arena, rounded up too, is no larger is optimal.
    """
    return max(profile(model))


def profile(model: Model) -> list[int]:
    """Live bytes before the first operator, during each operator, and after the last: `live_bytes` with both ends."""
    spans = model.lifetimes()
    sizes = {index: aligned(model.tensors[index].nbytes, model.arena_alignment) for index in spans}
    changes = [0] * (len(model.operators) + 3)
    for index, (first, last) in spans.items():
        changes[first + 1] += sizes[index]
        changes[last + 2] -= sizes[index]
    totals = list(itertools.accumulate(changes[:-1]))
    scratch = [aligned(operator.scratch[1], model.arena_alignment) for operator in model.operators]
    saved = [0, *(saving - more for saving, more in zip(savings(model, spans), scratch, strict=True)), 0]
    return [total - saving for total, saving in zip(totals, saved, strict=True)]


def savings(model: Model, spans: dict[int, tuple[int, int]]) -> list[int]:
    """By how much, at most, each operator's tensors take less memory because its output may lie over its inputs."""

    def rounded(size: int) -> int:
        return aligned(size, model.arena_alignment)

    saved = []
    for position, operator in enumerate(model.operators):
        over = [(rounded(model.tensors[i].nbytes), rounded(d)) for i, d in overlaps(model, position, spans).items()]
        output = rounded(model.output(operator).nbytes)
        saved.append(output + sum(size for size, _ in over) - together(output, over) if over else 0)
    return saved


def needed_version(model: Model) -> int:
    """The oldest version of the format that has all that the model uses: kinds of operators and their operands, whose rows in
    kerasq.ops say since when, formats, zeros, and outputs that lie over inputs. (What a compact file leaves out is no part of a
    model.)

    The writer records it, so that older readers refuse what they can't run; readers look at what a file uses,
    whatever it records.
    """
    for_kernels = any(operator.scratch[1] for operator in model.operators) or any(t.layout != Layout.ROWS for t in model.tensors)
    planned = PLANNED_FOR_KERNELS_SINCE if for_kernels else 1
    stored = (FAMILIES_SINCE.get(tensor.format.family, 1) for tensor in model.tensors)
    return max([planned, *stored, *(_version_of(model, operator) for operator in model.operators)])


def _version_of(model: Model, operator: Operator) -> int:
    spec = ops.TABLE[operator.kind]
    listed = [(operand, index) for operand, index in spec.listed(operator) if 0 <= index < len(model.tensors)]
    version = max([spec.since, ZEROS_SINCE if operator.zero else 1, *(operand.since for operand, _ in listed)])
    if version >= OVERLAPS_SINCE:
        return version
    output = model.output(operator)
    return max([version, *(_overlap_version(operand, model.tensors[index], output) for operand, index in listed)])


def _overlap_version(operand: ops.Operand, x: Tensor, output: Tensor) -> int:
    """The version that lets the output lie where it does beside this input: 1 where they don't touch."""
    if x is output or x.is_constant:
        return 1
    first, output_first = x.offset or 0, output.offset or 0
    if first + x.nbytes <= output_first or output_first + output.nbytes <= first:
        return 1
    return operand.in_place_since if first == output_first else OVERLAPS_SINCE


def collisions(model: Model) -> Iterator[str]:
    """Pairs of activations that are alive together and overlap in the arena, as sentences.

    The model's indices, offsets and operators must be valid. A sweep over the operators keeps the places in use sorted by offset:
    they are disjoint, so a new one can only collide with its two neighbours. One that collides is reported and left out.
    """
    spans = model.lifetimes()
    births: dict[int, list[int]] = {}
    deaths: dict[int, list[int]] = {}
    for index, (first, last) in spans.items():
        births.setdefault(first, []).append(index)
        deaths.setdefault(last, []).append(index)
    in_use: list[tuple[int, int, int]] = []  # offset, end, index
    for position in range(-1, len(model.operators) + 1):
        over = overlaps(model, position, spans) if 0 <= position < len(model.operators) else {}
        for index in births.get(position, ()):
            place = _place(model, index)
            for other, below in over.items():
                if place[0] + below <= _place(model, other)[0]:
                    _remove(in_use, _place(model, other))
            slot = bisect.bisect_left(in_use, place)
            neighbours = in_use[max(slot - 1, 0) : slot + 1]
            hit = next((other for other in neighbours if other[0] < place[1] and place[0] < other[1]), None)
            if hit is None:
                in_use.insert(slot, place)
            else:
                yield (
                    f"tensor {index} {model.tensors[index].name!r} at bytes {place[0]}..{place[1]} of the arena overlaps "
                    f"tensor {hit[2]} {model.tensors[hit[2]].name!r} at {hit[0]}..{hit[1]} while both are in use"
                )
        if 0 <= position < len(model.operators):
            yield from _scratch_collisions(model, position, in_use, over)
        for index in deaths.get(position, ()):
            _remove(in_use, _place(model, index))


def _scratch_collisions(model: Model, position: int, in_use: list[tuple[int, int, int]], over: Iterable[int]) -> Iterator[str]:
    """What the scratch memory of an operator overlaps: `in_use`, sorted, or the inputs `over` which the output may lie."""
    first, size = model.operators[position].scratch
    if not size:
        return
    highest = bisect.bisect_left(in_use, (first + size, 0, 0)) - 1
    beside = [*(in_use[highest : highest + 1] if highest >= 0 else ()), *(_place(model, index) for index in over)]
    for begin, end, index in beside:
        if begin < first + size and first < end:
            yield (
                f"the scratch memory of operator {position} at bytes {first}..{first + size} of the arena overlaps "
                f"tensor {index} {model.tensors[index].name!r} at {begin}..{end} while both are in use"
            )


def _place(model: Model, index: int) -> tuple[int, int, int]:
    tensor = model.tensors[index]
    assert tensor.offset is not None
    return tensor.offset, tensor.offset + tensor.nbytes, index


def _remove(in_use: list[tuple[int, int, int]], place: tuple[int, int, int]) -> None:
    slot = bisect.bisect_left(in_use, place)
    if slot < len(in_use) and in_use[slot] == place:
        del in_use[slot]
