"""A network planned for the kernels of a processor: rows of weights in the order in which they read them, scratch memory among
the buffers that are placed.

What kernels want is asked of the runtime, which has them: of a network whose activations all lie apart, where each operator has
the kernel that suits it best. Some kernels take an output over an operand that dies with the operator only at certain distances,
by whole pixels or by a block of them, and leave others to slower kernels. So plans are tried whose places are multiples of 16
bytes, of 32 ... and where one still costs an operator its kernel, its output is kept apart from what it reads. The smallest arena
is taken; where the first plan has the smallest that there can be, no other is tried.
"""

from __future__ import annotations

import dataclasses
import functools

from kerasq.format import Model, dumps, loads
from kerasq.format.model import ABSENT, Layout
from kerasq.format.packing import pairs_problem
from kerasq.ops import operand_index
from kerasq.runtime import DSP, Network
from kerasq.runtime.network import OperatorInfo
from kerasq.targets import TARGETS
from kerasq.verification.plan import aligned
from kerasq_convert.memory.order import best_order
from kerasq_convert.memory.plan import Plan, plan

_UNITS = (16, 32, 64, 128, 256)
# Kernels that also come for rows in pairs.
_OF_ROWS = tuple(f"kq_conv_2d_{x}_s8_{addend}dsp" for x in ("s8", "u8") for addend in ("", "addend_"))


@functools.lru_cache(maxsize=1)  # a report and C files of one conversion want the same
def for_target(content: bytes, target: str) -> bytes:
    """A .kq file with weights and memory as the kernels of a target want them: the same file, where these take any.

    Args:
        content: Bytes of a .kq file.
        target: One of `kerasq.targets.TARGETS`.

    Raises:
        kerasq.format.ModelError: The file is refused.
        kerasq.runtime.LibraryMissingError: The native library, which knows what kernels there are, is not installed.
    """
    isa = TARGETS[target].isa
    return dumps(planned_for(loads(content), isa)) if isa == DSP else content


def planned_for(model: Model, isa: str) -> Model:
    """`model` with weights, and a memory plan, for one set of kernels; every result stays what it is.

    Args:
        model: A sound one.
        isa: The kernels, as `kerasq.runtime.Network` names them.

    Raises:
        kerasq.runtime.LibraryMissingError: The native library is not installed.
    """
    arranged = _in_pairs(_unplanned(model), isa)
    wanted = _kernels(_apart(arranged), isa)
    scratch = tuple(
        operator.replace(scratch=(0, info.scratch_bytes)) for operator, info in zip(arranged.operators, wanted, strict=True)
    )
    arranged = dataclasses.replace(arranged, operators=scratch)
    kernels = {info.output: info.kernel for info in wanted}
    first = _with_kernels(arranged, isa, kernels, model.arena_alignment)
    if first.model.arena_bytes == first.bound_of_orders:
        return first.model
    coarser = (_with_kernels(arranged, isa, kernels, unit) for unit in _UNITS if unit > model.arena_alignment)
    return min((first, *coarser), key=lambda planned: planned.model.arena_bytes).model


def _with_kernels(model: Model, isa: str, kernels: dict[int, str], unit: int) -> Plan:
    """A plan in multiples of `unit` bytes in which operators have their kernels, by output."""
    coarse, apart = dataclasses.replace(model, arena_alignment=unit), set[int]()
    order = best_order(coarse)
    while True:
        made = plan(coarse, apart, order)
        planned = dataclasses.replace(made.model, arena_alignment=model.arena_alignment)
        slower = {info.output for info in _kernels(planned, isa) if info.kernel != kernels[info.output]} - apart
        if not slower:
            return dataclasses.replace(made, model=planned)
        apart |= slower


def _kernels(model: Model, isa: str) -> list[OperatorInfo]:
    return Network(dumps(model), isa).operators()


def _unplanned(model: Model) -> Model:
    """Rows one after the other, and no scratch memory."""
    return dataclasses.replace(
        model,
        tensors=tuple(dataclasses.replace(tensor, layout=Layout.ROWS) for tensor in model.tensors),
        operators=tuple(operator.replace(scratch=(0, 0)) for operator in model.operators),
    )


def _apart(model: Model) -> Model:
    """With every activation in a place of its own."""
    tensors, end = [], 0
    for tensor in model.tensors:
        tensors.append(tensor if tensor.is_constant else dataclasses.replace(tensor, offset=end))
        end += 0 if tensor.is_constant else aligned(tensor.nbytes, model.arena_alignment)
    return dataclasses.replace(model, tensors=tuple(tensors), arena_bytes=end)


def _in_pairs(model: Model, isa: str) -> Model:
    """With rows in pairs, of those kernels that all their operators can take so."""
    uses: dict[int, list[bool]] = {}
    for operator, info in zip(model.operators, _kernels(_apart(model), isa), strict=True):
        kernel = operand_index(operator, "kernel")
        if kernel not in (None, ABSENT):
            uses.setdefault(kernel, []).append(info.kernel in _OF_ROWS)
    tensors = list(model.tensors)
    for index, paired in uses.items():
        if all(paired) and pairs_problem(tensors[index].format, tensors[index].shape) is None:
            tensors[index] = dataclasses.replace(tensors[index], layout=Layout.PAIRS)
    return dataclasses.replace(model, tensors=tuple(tensors))
