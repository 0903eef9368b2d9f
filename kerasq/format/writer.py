"""From a Model, verified or not, to the bytes of a .kq file: the same model gives the same bytes, always.

Objects that come again are stored once: vtables (by the builder), shapes, lists of indices and Window tables. Constant
data are aligned to 16 bytes; the names and shapes written between them fill the gaps.

A compact file, since version 3, is the same to every reader and has fewer bytes: constant data are aligned to 4 bytes, as much as
readers rely on (structure.py, rule 5); constants that hold the same share them; what a reader can tell is left out: names that
follow from others (names.py) and outputs of operators (reader.py).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence

import flatbuffers
import numpy as np

from kerasq.format.generated import Clamp as ClampTable
from kerasq.format.generated import Metadata as MetadataTable
from kerasq.format.generated import Model as ModelTable
from kerasq.format.generated import Operator as OperatorTable
from kerasq.format.generated import SelfTest as SelfTestTable
from kerasq.format.generated import Tensor as TensorTable
from kerasq.format.generated import Window as WindowTable
from kerasq.format.model import ABSENT, FILE_IDENTIFIER, Layout, Model, Operator, OperatorKind, SelfTest, Tensor
from kerasq.format.names import without_implied
from kerasq.format.packing import pack, paired
from kerasq.format.schema import MAX_REUSE, TYPES, WINDOW, Scalar

DATA_ALIGNMENT, COMPACT_ALIGNMENT = 16, 4
COMPACT_SINCE = 3  # version of the format in which outputs of operators, and names of tensors, may be left out
SHARED = MAX_REUSE // 2  # tensors that may share their data, so that readers don't take the file for one that describes too much
_LAYOUTS = tuple(Layout)


def unverified(model: Model, version: int, *, compact: bool = False) -> bytes:
    """The bytes of a file that holds `model`, whatever it breaks; not for use outside of kerasq.

    `kerasq.verification.files.dumps` sends a model through the verifier first.

    Args:
        model: To write.
        version: Of the format, to record (`kerasq.verification.plan.needed_version`).
        compact: Whether to write a compact file; its version is at least `COMPACT_SINCE`.
    """
    if compact:
        return Writer(max(version, COMPACT_SINCE), compact=True).model(without_implied(model))
    return Writer(version).model(model)


class Writer:
    """One file in the making. The builder fills it from the end, so what is referred to is written first."""

    def __init__(self, version: int, *, compact: bool = False) -> None:
        self.version, self.compact = version, compact
        self.data_uses: Counter[bytes] = Counter()
        self.builder = flatbuffers.Builder(1 << 12)
        self.written: dict[Hashable, int] = {}

    def model(self, model: Model) -> bytes:
        builder = self.builder
        metadata = self.references([self.metadata(*entry) for entry in sorted(model.metadata.items())])
        operators = self.references([self.operator(*written) for written in self.operators(model)])
        tensors = self.references([self.tensor(tensor) for tensor in model.tensors])
        inputs, outputs = self.numbers(model.inputs, "<i4"), self.numbers(model.outputs, "<i4")
        test = None if model.test is None else self.test(model.test)
        input_names, output_names = self.texts(model.input_names), self.texts(model.output_names)
        ModelTable.Start(builder)
        ModelTable.AddVersion(builder, self.version)
        ModelTable.AddTensors(builder, tensors)
        ModelTable.AddOperators(builder, operators)
        ModelTable.AddInputs(builder, inputs)
        ModelTable.AddOutputs(builder, outputs)
        ModelTable.AddArenaBytes(builder, int(model.arena_bytes))
        ModelTable.AddArenaAlignment(builder, int(model.arena_alignment))
        ModelTable.AddMetadata(builder, metadata)
        if test is not None:
            ModelTable.AddTest(builder, test)
        if input_names is not None:
            ModelTable.AddInputNames(builder, input_names)
        if output_names is not None:
            ModelTable.AddOutputNames(builder, output_names)
        builder.Finish(ModelTable.End(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())

    def tensor(self, tensor: Tensor) -> int:
        builder = self.builder
        data = None if tensor.data is None else self.data(_packed(tensor, tensor.data))
        name = builder.CreateString(tensor.name) if tensor.name else None
        shape = self.numbers(tensor.shape, "<u4")
        TensorTable.Start(builder)
        if name is not None:
            TensorTable.AddName(builder, name)
        TensorTable.AddShape(builder, shape)
        if data is not None:
            TensorTable.AddData(builder, data)
        else:
            TensorTable.AddOffset(builder, int(tensor.offset or 0))
        TensorTable.AddType(builder, TYPES.index(tensor.format.family))
        TensorTable.AddFracBits(builder, tensor.format.frac_bits)
        TensorTable.AddLayout(builder, _LAYOUTS.index(tensor.layout))
        return TensorTable.End(builder)

    def operators(self, model: Model) -> Iterator[tuple[Operator, Tensor]]:
        """The operators as they are written, each with its output: without outputs where a reader knows it (reader.py)."""
        activations = [index for index, tensor in enumerate(model.tensors) if not tensor.is_constant]
        following = dict(itertools.pairwise(activations))
        before = model.inputs[-1] if model.inputs else ABSENT
        for operator in model.operators:
            implied = self.compact and operator.outputs == (following.get(before),)
            yield operator.replace(outputs=()) if implied else operator, model.output(operator)
            before = operator.outputs[0]

    def operator(self, operator: Operator, output: Tensor) -> int:
        builder = self.builder
        inputs = self.numbers(operator.inputs, "<i4")
        outputs = self.numbers(operator.outputs, "<i4") if operator.outputs else None
        window = self.window(operator)
        clamp = None if operator.clamp is None else self.clamp(operator.clamp, output)
        OperatorTable.Start(builder)
        OperatorTable.AddInputs(builder, inputs)
        if outputs is not None:
            OperatorTable.AddOutputs(builder, outputs)
        if window is not None:
            OperatorTable.AddWindow(builder, window)
        if clamp is not None:
            OperatorTable.AddClamp(builder, clamp)
        OperatorTable.AddKind(builder, tuple(OperatorKind).index(operator.kind))
        OperatorTable.AddAccumulatorBits(builder, operator.accumulator_bits)
        OperatorTable.AddTotalBits(builder, operator.total_bits)
        OperatorTable.AddScratchOffset(builder, int(operator.scratch[0]))
        OperatorTable.AddScratchBytes(builder, int(operator.scratch[1]))
        return OperatorTable.End(builder)

    def window(self, operator: Operator) -> int | None:
        """The Window table; none where it would hold the defaults."""
        numbers = operator.groups, operator.centered, operator.zero
        sizes = (*operator.window, *operator.strides, *operator.dilations, *operator.padding, *numbers)
        values = tuple(map(int, sizes))  # in the order of the schema's fields
        defaults = tuple(field.default for field in WINDOW.fields.values() if isinstance(field, Scalar))
        if values == defaults and not self.builder.forceDefaults:
            return None

        def write() -> int:
            WindowTable.Start(self.builder)
            for slot, (value, default) in enumerate(zip(values, defaults, strict=True)):
                self.builder.PrependUint16Slot(slot, value, default)
            return WindowTable.End(self.builder)

        return self.once(("window", values), write)

    def clamp(self, limits: tuple[float, float], output: Tensor) -> int:
        ClampTable.Start(self.builder)
        if output.format.is_float:
            ClampTable.AddMinFloat(self.builder, float(limits[0]))
            ClampTable.AddMaxFloat(self.builder, float(limits[1]))
        else:
            ClampTable.AddMin(self.builder, int(limits[0]))
            ClampTable.AddMax(self.builder, int(limits[1]))
        return ClampTable.End(self.builder)

    def metadata(self, key: str, value: str) -> int:
        key_text, value_text = self.builder.CreateString(key), self.builder.CreateString(value)
        MetadataTable.Start(self.builder)
        MetadataTable.AddKey(self.builder, key_text)
        MetadataTable.AddValue(self.builder, value_text)
        return MetadataTable.End(self.builder)

    def test(self, test: SelfTest) -> int:
        stored, checksums = self.data(test.input), self.numbers(test.checksums, "<u4")
        SelfTestTable.Start(self.builder)
        SelfTestTable.AddInput(self.builder, stored)
        SelfTestTable.AddChecksums(self.builder, checksums)
        return SelfTestTable.End(self.builder)

    def once(self, key: Hashable, write: Callable[[], int]) -> int:
        if key not in self.written:
            self.written[key] = write()
        return self.written[key]

    def numbers(self, values: Sequence[int], dtype: str) -> int:
        vector = np.asarray(values, dtype)
        return self.once((dtype, vector.tobytes()), lambda: self.builder.CreateNumpyVector(vector))

    def texts(self, texts: Sequence[str]) -> int | None:
        """A vector of strings; none where it would be empty."""
        return self.references([self.builder.CreateString(text) for text in texts]) if texts else None

    def references(self, positions: list[int]) -> int:
        self.builder.StartVector(4, len(positions), 4)
        for position in reversed(positions):
            self.builder.PrependUOffsetTRelative(position)
        return self.builder.EndVector()

    def data(self, packed: bytes) -> int:
        """A vector of bytes, aligned (flatc 2.0.8 generates code that ignores force_align)."""
        if not self.compact:
            return self.aligned(packed, DATA_ALIGNMENT)
        self.data_uses[packed] += 1
        copy = (self.data_uses[packed] - 1) // SHARED
        return self.once(("data", packed, copy), lambda: self.aligned(packed, COMPACT_ALIGNMENT))

    def aligned(self, packed: bytes, alignment: int) -> int:
        builder = self.builder
        builder.Prep(4, len(packed))
        builder.Prep(alignment, len(packed))
        return builder.CreateByteVector(packed)


def _packed(tensor: Tensor, data: np.ndarray) -> bytes:
    return pack(data if tensor.layout == Layout.ROWS else paired(data), tensor.format)
