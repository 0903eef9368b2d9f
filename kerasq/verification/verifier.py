"""What a model must fulfil before anything may be computed with it.

structure.py makes sure that the bytes of a file are tables; this page says which tables are a network that runs in bounds,
with no check left to the kernels. `problems` reports everything at once. The rules (the C loader has the same):

* At least one input and one output. Inputs are activations that no operator writes; outputs are inputs or written
  activations; neither list names a tensor twice.
* Names of inputs, and names of outputs: none, or one for each of them, at most MAX_NAMES, all different, of 1 to
  MAX_NAME_BYTES bytes.
* Tensors: a unique name of 1 to MAX_NAME_BYTES bytes; 1 to 4 axes of at least 1, together fewer than 2**31 elements. A tensor
  has either data or an offset. FLOAT32 data are finite, SIGN data +1 or -1, data of 2 or 4 bits in range.
* Activations are FLOAT32, (U)FIXED8 or (U)FIXED16, begin with the batch axis 1 and have at least one more, and are used by
  an operator or by the caller.
* Operators: every index is a tensor, or `ABSENT` among the inputs; an activation is read after it was written, and written
  once, by exactly one operator; constants are never written. Window sizes fit 16 bits, the clamp of a FLOAT32 output is
  two float32 values. The rest (arity, types, shapes, clamp, accumulator proof) is in kerasq.ops.
* Plan: the alignment is a power of two in MIN_ALIGNMENT..MAX_ALIGNMENT (engines use 16- and 32-bit values where they lie), the
  arena has fewer than 2**31 bytes, every activation lies inside it and is aligned, as does the scratch memory of an operator that
  has some, and plan.collisions finds nothing.
* Test vector, where there is one: as many bytes as all inputs of the network together, and one checksum per operator.

The work is bounded: proofs read every kernel once, however many operators share it, and multipliers and biases once per
operator, but no more than MAX_VECTOR_READS of their values in all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasq import ops
from kerasq.format.errors import ModelError
from kerasq.format.model import ABSENT, Layout, Model, Operator, Tensor
from kerasq.format.packing import pairs_problem
from kerasq.format.schema import (
    MAX_ALIGNMENT,
    MAX_METADATA,
    MAX_NAME_BYTES,
    MAX_NAMES,
    MAX_OPERATORS,
    MAX_SIZE,
    MAX_TENSORS,
    MAX_VECTOR_READS,
    MIN_ALIGNMENT,
)
from kerasq.format.shapes import is_integer, shape_problems
from kerasq.ops.families import ACTIVATIONS
from kerasq.text import represented
from kerasq.verification import plan

MAX_ARENA_BYTES = 2**31 - 1


def verify(model: Model) -> None:
    """Accept a model or say everything that is wrong with it.

    Raises:
        ModelError: `problems(model)` is not empty.
    """
    reasons = problems(model)
    if reasons:
        raise ModelError(reasons)


def problems(model: Model) -> list[str]:
    """Every reason why a model can't be used, as sentences that name the operator or tensor; empty for a good model."""
    reasons = [*_counts(model), *_metadata(model), *_names(model), *_end_names(model)]
    unsound = set()
    for index, tensor in enumerate(model.tensors):
        wrong = [*_tensor(tensor), *_place(model, tensor)]
        reasons += (f"tensor {index} {represented(tensor.name)}: {text}" for text in wrong)
        if wrong:
            unsound.add(index)
    links = list(_links(model))
    reads = list(_reads(model))
    operators = [
        problem
        for position, operator in enumerate(model.operators)
        if not reads and _is_sound(model, operator, unsound)
        for problem in _operator(model, position)
    ]
    operators += reads
    reasons += [*links, *operators]
    if not links and not unsound and not operators:  # what may overlap depends on the operators
        reasons += plan.collisions(model)
    if not links and not unsound:
        reasons += _test(model)
    return reasons


def label(model: Model, position: int) -> str:
    """How messages call an operator: its position, kind and the name of its output."""
    operator = model.operators[position]
    index = operator.outputs[0] if operator.outputs else ABSENT
    name = represented(model.tensors[index].name) if _is_index(model, index) else "without output"
    return f"operator {position}, {operator.kind} {name}"


def _counts(model: Model) -> Iterator[str]:
    for what, count, limit in (
        ("tensors", len(model.tensors), MAX_TENSORS),
        ("operators", len(model.operators), MAX_OPERATORS),
        ("metadata entries", len(model.metadata), MAX_METADATA),
    ):
        if count > limit:
            yield f"a model has at most {limit} {what}. Received: {count}"
    alignment = model.arena_alignment
    if not (is_integer(alignment) and MIN_ALIGNMENT <= alignment <= MAX_ALIGNMENT and alignment & (alignment - 1) == 0):
        yield f"arena_alignment must be a power of two, {MIN_ALIGNMENT}..{MAX_ALIGNMENT}. Received: arena_alignment={alignment}"
    if not (is_integer(model.arena_bytes) and 0 <= model.arena_bytes <= MAX_ARENA_BYTES):
        yield f"arena_bytes must lie in 0..{MAX_ARENA_BYTES}. Received: arena_bytes={model.arena_bytes}"


def _metadata(model: Model) -> Iterator[str]:
    for key, value in model.metadata.items():
        if not key or not _is_text(key) or not _is_text(value):
            entry = f"{represented(key)}: {represented(value)}"
            yield f"metadata are texts without NUL, under keys that are not empty. Received: {entry}"


def _names(model: Model) -> Iterator[str]:
    for name, count in Counter(tensor.name for tensor in model.tensors).items():
        if count > 1:
            yield f"{count} tensors are called {represented(name)}: names must be unique"


def _end_names(model: Model) -> Iterator[str]:
    for what, names, ends in (("input", model.input_names, model.inputs), ("output", model.output_names, model.outputs)):
        if len(names) > MAX_NAMES or (names and len(names) != len(ends)):
            yield (
                f"{what}_names are none, or one for each {what}, at most {MAX_NAMES}. Received: {len(names)} names for "
                f"{len(ends)} {what}s"
            )
        elif len(set(names)) < len(names) or not all(map(_is_name, names)):
            yield (
                f"{what}_names differ from each other, and each is a text without NUL of 1 to {MAX_NAME_BYTES} bytes. "
                f"Received: {represented(names)}"
            )


def _tensor(tensor: Tensor) -> Iterator[str]:
    """What is wrong with a tensor by itself."""
    if not _is_name(tensor.name):
        yield f"a name is a text without NUL of 1 to {MAX_NAME_BYTES} bytes"
    yield from shape_problems(tensor.shape)
    if tensor.format.is_fixed and tensor.format.frac_bits is None:
        yield f"the number of fractional bits is not chosen. Received: format={tensor.format}"
    if tensor.data is not None:
        yield from _data(tensor, tensor.data)
        return
    if tensor.layout != Layout.ROWS:
        yield f"only constants have a layout. Received: layout={tensor.layout}"
    if tensor.format.family not in ACTIVATIONS:
        yield f"an activation is {', '.join(sorted(ACTIVATIONS))}. Received: format={tensor.format}"
    if len(tensor.shape) < 2 or tensor.shape[0] != 1:
        yield f"an activation begins with the batch axis 1 and has another one. Received: shape={tensor.shape}"


def _data(tensor: Tensor, data: np.ndarray) -> Iterator[str]:
    if tensor.offset is not None:
        yield f"a constant has no place in the arena. Received: offset={tensor.offset}"
    problem = None if tensor.layout == Layout.ROWS else pairs_problem(tensor.format, tuple(tensor.shape))
    if problem:
        yield problem
    if data.dtype != tensor.format.dtype or data.shape != tuple(tensor.shape):
        yield (
            f"data of {tensor.format} must be an array of {tensor.format.dtype} and shape {tensor.shape}. "
            f"Received: {data.dtype}, {data.shape}"
        )
    elif tensor.format.is_float and not np.isfinite(data).all():
        yield f"constants are finite. Received: {np.count_nonzero(~np.isfinite(data))} values that are NaN or infinite"
    elif tensor.format.is_sign and not (np.abs(data) == 1).all():
        yield f"SIGN stores +1 and -1. Received: {np.count_nonzero(data == 0)} zeros, values {data.min()}..{data.max()}"
    elif tensor.format.bits < 8 and data.size and not tensor.format.min_int <= data.min() <= data.max() <= tensor.format.max_int:
        yield f"{tensor.format} stores {tensor.format.min_int}..{tensor.format.max_int}. Received: {data.min()}..{data.max()}"


def _place(model: Model, tensor: Tensor) -> Iterator[str]:
    """What is wrong with an activation's place in the arena."""
    if tensor.is_constant or next(shape_problems(tensor.shape), None) or tensor.format.family not in ACTIVATIONS:
        return
    offset = tensor.offset
    if not is_integer(offset) or offset < 0:
        yield f"an activation has a place in the arena. Received: offset={offset}"
    elif offset + tensor.nbytes > model.arena_bytes:
        yield f"{tensor.nbytes} bytes at offset {offset} leave the arena of {model.arena_bytes} bytes"
    elif is_integer(model.arena_alignment) and model.arena_alignment > 0 and offset % model.arena_alignment:
        yield f"the offset must be a multiple of {model.arena_alignment}. Received: offset={offset}"


def _links(model: Model) -> Iterator[str]:
    """What is wrong with who reads and writes what, in the order of execution."""
    written = set()
    for what, indices in (("inputs", model.inputs), ("outputs", model.outputs)):
        if not indices or len(set(indices)) < len(indices):
            yield f"a model has {what}, each named once. Received: {what}={represented(indices)}"
        for index in indices:
            if not _is_index(model, index) or model.tensors[index].is_constant:
                yield f"{what} are indices of activations. Received: {_named(model, index)}"
            elif what == "inputs":
                written.add(index)
    used = {*model.inputs, *model.outputs}
    for position, operator in enumerate(model.operators):
        used |= {*operator.inputs, *operator.outputs}
        for index in operator.inputs:
            if index != ABSENT and not _is_index(model, index):
                yield f"{label(model, position)}: an input is the index of a tensor or {ABSENT}. Received: {index}"
            elif index != ABSENT and not model.tensors[index].is_constant and index not in written:
                yield f"{label(model, position)}: reads {_named(model, index)} before anything has written it"
        if len(operator.outputs) != 1:
            yield f"{label(model, position)}: every operator writes one tensor. Received: outputs={represented(operator.outputs)}"
        for index in operator.outputs:
            if not _is_index(model, index) or model.tensors[index].is_constant:
                yield f"{label(model, position)}: an output is the index of an activation. Received: {_named(model, index)}"
            elif index in written:
                yield f"{label(model, position)}: writes {_named(model, index)}, which is an input or written before"
            written.add(index)
    for index in model.outputs:
        if _is_index(model, index) and not model.tensors[index].is_constant and index not in written:
            yield f"output {_named(model, index)} is never written"
    for index, tensor in enumerate(model.tensors):
        if not tensor.is_constant and index not in used:
            yield f"{_named(model, index)} is an activation that nothing uses"


def _reads(model: Model) -> Iterator[str]:
    """Whether proofs would read multipliers and biases too often."""
    listed = (pair for operator in model.operators for pair in ops.TABLE[operator.kind].listed(operator))
    vectors = (index for operand, index in listed if operand.per_channel)
    tensors = (model.tensors[index] for index in vectors if _is_index(model, index))
    values = sum(len(tensor.data) for tensor in tensors if tensor.data is not None and tensor.data.ndim)
    if values > MAX_VECTOR_READS:
        yield (
            f"multipliers and biases have at most {MAX_VECTOR_READS} values, counted for each operator that uses them. "
            f"Received: {values} values"
        )


def _test(model: Model) -> Iterator[str]:
    """What is wrong with the embedded test vector of a model whose tensors and links are sound."""
    if model.test is None:
        return
    size = sum(model.tensors[index].nbytes for index in model.inputs)
    if len(model.test.input) != size:
        yield f"the test vector's input must have {size} bytes, all inputs together. Received: {len(model.test.input)} bytes"
    if len(model.test.checksums) != len(model.operators):
        yield (
            f"the test vector must have {len(model.operators)} checksums, one per operator. "
            f"Received: {len(model.test.checksums)} checksums"
        )
    if not all(is_integer(checksum) and 0 <= checksum < 1 << 32 for checksum in model.test.checksums):
        yield f"checksums of the test vector lie in 0..{(1 << 32) - 1}. Received: {represented(model.test.checksums)}"


def _is_sound(model: Model, operator: Operator, unsound: set[int]) -> bool:
    """Whether an operator can be judged by itself: what it refers to exists and is well formed."""
    read = [index for index in operator.inputs if index != ABSENT]
    return (
        len(operator.outputs) == 1
        and all(_is_index(model, index) and index not in unsound for index in (*read, *operator.outputs))
        and not model.output(operator).is_constant
    )


def _operator(model: Model, position: int) -> Iterator[str]:
    """What is wrong with an operator by itself."""
    operator = model.operators[position]
    numbers = operator.groups, operator.centered, operator.zero
    sizes = (*operator.strides, *operator.dilations, *operator.padding, *operator.window, *numbers)
    if not all(is_integer(size) and 0 <= size <= MAX_SIZE for size in sizes):
        names = "strides, dilations, padding, window, groups, centered and zero"
        yield f"{label(model, position)}: {names} are 16-bit numbers. Received: {sizes}"
        return
    if problem := _scratch_problem(model, operator):
        yield f"{label(model, position)}: {problem}"
        return
    clamp = operator.clamp
    if clamp is not None and model.output(operator).format.is_float and not all(map(_is_float32, clamp)):
        yield f"{label(model, position)}: the clamp of a FLOAT32 output is two float32 values. Received: clamp={clamp}"
    yield from (f"operator {position}, {problem}" for problem in ops.TABLE[operator.kind].problems(model, operator))


def _scratch_problem(model: Model, operator: Operator) -> str | None:
    offset, size = operator.scratch
    alignment = model.arena_alignment
    sound = is_integer(offset) and is_integer(size) and offset >= 0 and 0 <= size <= model.arena_bytes - offset
    if sound and is_integer(alignment) and alignment > 0 and offset % alignment == 0:
        return None
    return (
        f"scratch memory lies inside the arena of {model.arena_bytes} bytes, at a multiple of {alignment}. "
        f"Received: scratch={operator.scratch}"
    )


def _is_float32(value: float) -> bool:
    with np.errstate(over="ignore"):
        return float(np.float32(value)) == value


def _is_index(model: Model, index: int) -> bool:
    return is_integer(index) and 0 <= index < len(model.tensors)


def _is_text(value: Any) -> bool:
    """Whether a file can hold it: text that UTF-8 can express, without the zero character that ends a text in C."""
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)


def _is_name(value: Any) -> bool:
    return bool(value) and _is_text(value) and len(value.encode()) <= MAX_NAME_BYTES


def _named(model: Model, index: int) -> str:
    return f"tensor {index} {represented(model.tensors[index].name)}" if _is_index(model, index) else f"index {index}"
