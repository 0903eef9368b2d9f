"""From a Model, verified or not, to the bytes of a .kq file: the same model gives the same bytes, always.

Objects that come again are stored once: vtables (by the builder), shapes, lists of indices and Window tables. Constant
data are aligned to 16 bytes as the schema asks; the names and shapes written between them fill the gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import flatbuffers
import numpy as np

from kerasq.format.generated import Clamp as ClampTable
from kerasq.format.generated import Metadata as MetadataTable
from kerasq.format.generated import Model as ModelTable
from kerasq.format.generated import Operator as OperatorTable
from kerasq.format.generated import SelfTest as SelfTestTable
from kerasq.format.generated import Tensor as TensorTable
from kerasq.format.generated import Window as WindowTable
from kerasq.format.model import FILE_IDENTIFIER, Model, Operator, OperatorKind, SelfTest, Tensor
from kerasq.format.packing import pack
from kerasq.format.schema import TYPES, WINDOW, Scalar

DATA_ALIGNMENT = 16


def unverified(model: Model, version: int) -> bytes:
    """The bytes of a file that holds `model`, whatever it breaks; not for use outside of kerasq.

    `kerasq.verification.files.dumps` sends a model through the verifier first.

    Args:
        model: To write.
        version: Of the format, to record (`kerasq.verification.plan.needed_version`).
    """
    return Writer(version).model(model)


class Writer:
    """One file in the making. The builder fills it from the end, so what is referred to is written first."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.builder = flatbuffers.Builder(1 << 12)
        self.written: dict[Hashable, int] = {}

    def model(self, model: Model) -> bytes:
        builder = self.builder
        metadata = self.references([self.metadata(*entry) for entry in sorted(model.metadata.items())])
        operators = self.references([self.operator(operator, model.output(operator)) for operator in model.operators])
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
        data = None if tensor.data is None else self.data(pack(tensor.data, tensor.format))
        name = builder.CreateString(tensor.name)
        shape = self.numbers(tensor.shape, "<u4")
        TensorTable.Start(builder)
        TensorTable.AddName(builder, name)
        TensorTable.AddShape(builder, shape)
        if data is not None:
            TensorTable.AddData(builder, data)
        else:
            TensorTable.AddOffset(builder, int(tensor.offset or 0))
        TensorTable.AddType(builder, TYPES.index(tensor.format.family))
        TensorTable.AddFracBits(builder, tensor.format.frac_bits)
        return TensorTable.End(builder)

    def operator(self, operator: Operator, output: Tensor) -> int:
        builder = self.builder
        inputs, outputs = self.numbers(operator.inputs, "<i4"), self.numbers(operator.outputs, "<i4")
        window = self.window(operator)
        clamp = None if operator.clamp is None else self.clamp(operator.clamp, output)
        OperatorTable.Start(builder)
        OperatorTable.AddInputs(builder, inputs)
        OperatorTable.AddOutputs(builder, outputs)
        if window is not None:
            OperatorTable.AddWindow(builder, window)
        if clamp is not None:
            OperatorTable.AddClamp(builder, clamp)
        OperatorTable.AddKind(builder, tuple(OperatorKind).index(operator.kind))
        OperatorTable.AddAccumulatorBits(builder, operator.accumulator_bits)
        OperatorTable.AddTotalBits(builder, operator.total_bits)
        return OperatorTable.End(builder)

    def window(self, operator: Operator) -> int | None:
        """The Window table; none where it would hold the defaults."""
        sizes = (*operator.window, *operator.strides, *operator.dilations, *operator.padding, operator.groups)
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
        builder = self.builder
        builder.Prep(4, len(packed))
        builder.Prep(DATA_ALIGNMENT, len(packed))
        return builder.CreateByteVector(packed)
