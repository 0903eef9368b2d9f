"""The contents of a .kq file as Python values: what writer, reader, verifier, converter and interpreter share.

Layout conventions:

* Activations are channels-last with a batch axis of 1: `(1, height, width, channels)` or `(1, features)`.
* Every kernel has its output channels first: Conv2D `(outputs, height, width, inputs / groups)`, Dense `(outputs, inputs)`.
  A depthwise convolution is a Conv2D with `groups` equal to its input channels.
* A tensor holds either constant data or, as an activation, the byte offset of its place in the arena.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kerasq.format.generated.enums import Layout as Layout
from kerasq.format.generated.enums import OperatorKind
from kerasq.qformat import QFormat
from kerasq.rich import notebook_table, paragraph

FORMAT_VERSION = 6  # the newest; plan.needed_version says which one a model needs
FILE_IDENTIFIER = b"KRSQ"
ABSENT = -1  # index of an optional input that an operator does without
FILLED = "filled"  # metadata of a file whose activations are those of the float network times factors: their exponents
OFFSET = "offset"  # metadata of a file whose activations are stored with offsets then: these


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor: a constant or a place in the arena.

    Attributes:
        name: `layer/output`, `layer/kernel`, `layer/multiplier`, `layer/bias`: unique in a model.
        shape: Sizes, at least 1 each; activations begin with the batch axis 1.
        format: How values are stored; never a family.
        data: Stored values, unpacked, of `format.dtype` (SIGN: +1 and -1 as int8); `None` for an activation.
        offset: Byte offset in the arena; `None` for a constant.
        layout: How a file has the rows of a constant (kerasq.format.packing). `data` are always in their own order.
    """

    name: str
    shape: tuple[int, ...]
    format: QFormat
    data: np.ndarray | None = None
    offset: int | None = None
    layout: Layout = Layout.ROWS

    @property
    def is_constant(self) -> bool:
        return self.data is not None

    @property
    def nbytes(self) -> int:
        """Bytes in the file, or in the arena."""
        return self.format.nbytes(self.shape)

    @property
    def values(self) -> np.ndarray:
        """The real values of a constant, float64."""
        if self.data is None:
            raise ValueError(f"{self.name!r} is an activation: it holds no values before it is computed")
        return self.format.dequantize(self.data, np.float64)

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest real value of a constant."""
        if self.data is None:
            raise ValueError(f"{self.name!r} is an activation: it holds no values before it is computed")
        low, high = self.format.dequantize(np.array([self.data.min(), self.data.max()]), np.float64)
        return float(low), float(high)

    @functools.cached_property
    def magnitudes(self) -> np.ndarray:
        """Of a fixed constant: the sum of the magnitudes of all stored values behind each index of the first axis, int64.

        Computed once, as many operators may share a kernel. There are fewer than 2**31 values of at most 2**31: sums are exact.
        """
        assert self.data is not None
        rows = self.data.reshape(len(self.data), -1)
        # Positive and negative values apart: in the constant's own type, |-128| would not fit.
        positive, negative = (part(rows, 0).sum(axis=1, dtype=np.int64) for part in (np.maximum, np.minimum))
        return positive - negative


@dataclasses.dataclass(frozen=True)
class Operator:
    """One operator; its kind's row in kerasq.ops names its operands and the attributes that it uses.

    Attributes:
        kind: What it computes.
        inputs: Indices of tensors in the order in which the kind's row has its operands; `ABSENT` for an optional one.
            `kerasq.ops.operand` finds one by name, `kerasq.ops.make` lists them.
        outputs: Indices of the tensors written: exactly one for every kind so far.
        strides: Vertical and horizontal step (CONV_2D and pooling).
        dilations: Vertical and horizontal distance of taps (CONV_2D).
        padding: Rows and columns of absent taps at the top, bottom, left and right (CONV_2D and pooling).
        window: Height and width (pooling; a convolution's are its kernel's). TRANSPOSE: sizes of the axes that change places.
            NORMALIZE: pixels that are normalized together, in rows and columns.
        groups: Groups of channels (CONV_2D, NORMALIZE). TRANSPOSE: values that move together.
        centered: 1 where the mean is subtracted, else 0 (NORMALIZE).
        zero: The stored value of the first input, an unsigned one, that means 0: what absent taps contribute (CONV_2D), what is
            subtracted before values are multiplied (MUL).
        clamp: Smallest and largest output: stored integers of the output's format, or floats for a FLOAT32 output.
            `None` where nothing is clamped beyond the format's own range.
        accumulator_bits: 32 or 64: the width that provably holds every intermediate sum (0 for float operators).
        total_bits: The same after the multiplier and the bias (CONV_2D and DENSE; 0 elsewhere).
        scratch: Offset and bytes of memory in the arena that is nobody else's while the operator runs, for kernels that want
            some. 0 bytes where none is planned; kernels then find a place of their own behind all.
        real_zero: In memory only: the same of an operator in float, the value itself. In a file, 0 is 0.0 there.
        function: In memory only: what a LOOKUP computes from a FLOAT32 input. A file holds its table instead.
    """

    kind: OperatorKind
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    window: tuple[int, int] = (0, 0)
    groups: int = 1
    centered: int = 0
    zero: int = 0
    clamp: tuple[float, float] | None = None
    accumulator_bits: int = 0
    total_bits: int = 0
    scratch: tuple[int, int] = (0, 0)
    real_zero: float = 0.0
    function: Callable[[np.ndarray], np.ndarray] | None = None

    def replace(self, **changes: Any) -> Operator:
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True)
class SelfTest:
    """A test vector: an example, and what the reference engine computes from it, by which an engine can check itself.

    Attributes:
        input: Stored values of the example as bytes, little endian: all inputs of the network, one after the other.
        checksums: For each operator the CRC-32 (`zlib.crc32`) of the stored bytes of its output; 0 where it is not checked.
    """

    input: bytes
    checksums: tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A whole network, operators in execution order.

    Attributes:
        tensors: All tensors; operators, inputs and outputs refer to them by index.
        operators: In the order in which they run.
        inputs, outputs: Indices of activations.
        arena_bytes: Bytes of working memory for batch 1: every activation lies inside.
        arena_alignment: Every offset is a multiple of it; the arena itself must be so aligned.
        metadata: Text by key: who produced the file, from what.
        test: The embedded test vector, if there is one.
        input_names: The user's names of the inputs, in their order; empty where they are those of the tensors.
        output_names: Keys of the outputs, in their order; empty where the network gives a list, or one array.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arena_bytes: int = 0
    arena_alignment: int = 16
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    test: SelfTest | None = None
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()

    def named_inputs(self) -> dict[str, int]:
        """The tensor of each input by the name that users know it by, in order."""
        return self._named(self.input_names, self.inputs)

    def named_outputs(self) -> dict[str, int]:
        """The tensor of each output by its key, or where there are no keys by the tensor's name, in order."""
        return self._named(self.output_names, self.outputs)

    def _named(self, names: tuple[str, ...], indices: tuple[int, ...]) -> dict[str, int]:
        return dict(zip(names or (self.tensors[index].name for index in indices), indices, strict=True))

    def tensor(self, name: str) -> Tensor:
        """The tensor called `name`."""
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise KeyError(name)

    def operands(self, operator: Operator) -> list[Tensor | None]:
        """Input tensors of an operator, `None` where absent."""
        return [None if index == ABSENT else self.tensors[index] for index in operator.inputs]

    def output(self, operator: Operator) -> Tensor:
        """The tensor that an operator writes."""
        return self.tensors[operator.outputs[0]]

    def lifetimes(self) -> dict[int, tuple[int, int]]:
        """First and last operator (by position, both included) during which each activation must be kept.

        Inputs of the network live from -1 on (they are written before the first operator), outputs until after the last.
        """
        spans: dict[int, tuple[int, int]] = dict.fromkeys(self.inputs, (-1, -1))
        for position, operator in enumerate(self.operators):
            for index in (*operator.inputs, *operator.outputs):
                if index != ABSENT and not self.tensors[index].is_constant:
                    spans[index] = (spans.get(index, (position, position))[0], position)
        for index in self.outputs:
            spans[index] = (spans.get(index, (-1, -1))[0], len(self.operators))
        return spans

    def constants(self) -> Iterator[Tensor]:
        return (tensor for tensor in self.tensors if tensor.is_constant)

    def activations(self) -> Iterator[Tensor]:
        return (tensor for tensor in self.tensors if not tensor.is_constant)

    def _repr_html_(self) -> str:
        """The operators, as a notebook shows them."""
        rows = []
        for position, operator in enumerate(self.operators):
            output = self.output(operator)
            constants = [tensor for tensor in self.operands(operator) if tensor is not None and tensor.is_constant]
            size = sum(tensor.nbytes for tensor in constants)
            stored = ", ".join(str(tensor.format) for tensor in constants)
            shape = "x".join(map(str, output.shape[1:]))
            kind, count = str(operator.kind), f"{size:,}" if constants else ""
            rows.append([str(position), kind, output.name, shape, str(output.format), stored, count])
        total = sum(tensor.nbytes for tensor in self.constants())
        sums = f"{len(self.operators)} operators, {total:,} bytes of constants, arena {self.arena_bytes:,} bytes"
        header = ("#", "operator", "output", "shape", "format", "constants", "bytes")
        return paragraph(sums, title="Model") + notebook_table(header, rows, right=("#", "bytes"))
