"""A SavedModel is a program: what in it could do more than compute is refused by name, and nothing of it has run by then."""

import pathlib
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import kerasq
from kerasq.commands.evaluate import main as evaluate
from kerasq_convert import ConversionError
from kerasq_convert.command import main as convert
from kerasq_convert.frontend import trust

L = keras.layers
v1 = tf.compat.v1


def export_v1(folder, bias=lambda: np.zeros(3, np.float32), start=None, resource=True, after=None):
    """x @ ones + bias, as TensorFlow 1 would have saved it; `start` makes the operation that initialises."""
    graph = tf.Graph()
    with graph.as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        w = v1.get_variable("w", initializer=np.arange(12, dtype="f").reshape(4, 3), use_resource=resource)
        y = tf.identity(tf.matmul(x, w) + bias(), "y")
        if after is not None:
            y = after(y)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        main_op = start() if start else None
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, main_op=main_op)
        builder.save()
    return folder


def write(path):
    return lambda: tf.group(tf.io.write_file(str(path), "x"))


def read(path):
    return lambda: tf.strings.length(tf.io.read_file(str(path))) * tf.ones(3, tf.int32)


@keras.saving.register_keras_serializable()
class Printing(L.Layer):
    """Prints what it gets, as some do to look for faults."""

    def __init__(self, stream):
        super().__init__()
        self.stream = f"file://{stream}" if isinstance(stream, pathlib.Path) else sys.stderr

    def call(self, x):
        tf.print("seen", x, output_stream=self.stream)
        return 2.0 * x


class TestWhatComputes:
    @pytest.mark.parametrize("resource", [True, False])
    def test_variables_of_both_kinds_are_read_from_the_checkpoint(self, tmp_path, resource):
        content = kerasq.convert(export_v1(tmp_path / "sm", resource=resource))
        x = np.eye(4, dtype=np.float32)
        np.testing.assert_allclose(
            kerasq.Interpreter(model_content=content).predict(x), np.arange(12).reshape(4, 3), rtol=0.02, atol=0.1
        )

    def test_tables_that_would_be_filled_do_no_harm(self, tmp_path):
        def fill():
            initializer = tf.lookup.KeyValueTensorInitializer(["a"], [1])
            tf.lookup.StaticHashTable(initializer, 0)
            return tf.group(v1.tables_initializer())

        kerasq.convert(export_v1(tmp_path / "sm", start=fill))

    def test_what_is_printed_is_left_out(self, tmp_path, capfd):
        keras.Sequential([keras.Input((4,)), Printing("stderr"), L.Dense(2)]).export(tmp_path / "sm", verbose=False)
        capfd.readouterr()
        kerasq.convert(tmp_path / "sm")
        assert "seen" not in capfd.readouterr().err


class TestWhatDoesMore:
    def test_what_is_printed_to_a_file(self, tmp_path):
        victim = tmp_path / "victim"
        keras.Sequential([keras.Input((4,)), Printing(victim), L.Dense(2)]).export(tmp_path / "sm", verbose=False)
        victim.unlink(missing_ok=True)
        with pytest.raises(ConversionError, match=r"operation PrintV2 .*may reach files"):
            kerasq.convert(tmp_path / "sm")
        assert not victim.exists()

    def test_an_initialisation_that_writes(self, tmp_path, capsys):
        victim = tmp_path / "victim"
        folder = export_v1(tmp_path / "sm", start=write(victim))
        assert convert(["kerasq-convert", str(folder), "--output", str(tmp_path / "net.kq")]) == 1
        assert "WriteFile" in capsys.readouterr().err
        assert not victim.exists()
        assert not (tmp_path / "net.kq").exists()

    @pytest.mark.parametrize("within_function", [False, True])
    def test_a_bias_that_is_read_from_a_file(self, tmp_path, within_function):
        (tmp_path / "secret").write_text("secret")

        def bias():
            values = read(tmp_path / "secret")
            return tf.cast(tf.function(values)() if within_function else values(), tf.float32)

        with pytest.raises(ConversionError, match=r"operation ReadFile .*may reach files"):
            kerasq.convert(export_v1(tmp_path / "sm", bias=bias))

    def test_the_evaluation_refuses_it_too(self, tmp_path, capsys):
        victim = tmp_path / "victim"

        def after(y):
            with tf.control_dependencies([tf.io.write_file(str(victim), "x")]):
                return tf.identity(y)

        folder = export_v1(tmp_path / "sm", after=after)
        assert evaluate(["kerasq-eval", "--dataset=shapes", str(folder)]) == 1
        assert "WriteFile" in capsys.readouterr().err
        assert not victim.exists()

    def test_python_functions_and_operations_of_others(self, tmp_path):
        folder = export_v1(tmp_path / "sm", after=lambda y: v1.py_func(np.tanh, [y], tf.float32))
        with pytest.raises(ConversionError, match="operation PyFunc"):
            kerasq.convert(folder)

    def test_constants_of_terabytes_are_not_computed(self, tmp_path):
        folder = export_v1(tmp_path / "sm", bias=lambda: tf.reduce_sum(tf.fill([3, 1 << 20, 1 << 20], 1.0), axis=(1, 2)))
        with pytest.raises(ConversionError, match="Fill"):
            kerasq.convert(folder)

    def test_every_kind_is_named_at_once(self, tmp_path):
        def after(y):
            with tf.control_dependencies([tf.io.write_file(str(tmp_path / "a"), "x"), tf.io.matching_files("*")]):
                return tf.identity(y)

        with pytest.raises(ConversionError) as error:
            kerasq.convert(export_v1(tmp_path / "sm", after=after, start=lambda: tf.group(tf.timestamp())))
        text = str(error.value)
        assert all(kind in text for kind in ("WriteFile", "MatchingFiles", "Timestamp"))


OUTSIDE = """
    ReadFile WriteFile MatchingFiles PyFunc PyFuncStateless EagerPyFunc ImmutableConst DebugIdentity DebugIdentityV2
    DebugNumericSummary DecodeProtoV2 EncodeProto GenerateVocabRemapping LoadAndRemapMatrix MergeV2Checkpoints Save SaveV2
    SaveSlices Restore RestoreV2 ShardedFilename TextLineDataset TFRecordDatasetV2 MapDataset OneShotIterator IteratorGetNext
    WholeFileReaderV2 ReaderReadV2 LMDBReader SqlDataset RpcClient RpcCall RemoteCall Send Recv CollectiveReduceV2
    CreateSummaryFileWriter WriteSummary DumpTensor Copy CopyHost Abort SleepOp XlaCustomCallV2 XlaLaunch LookupTableFindV2
    InitializeTableFromTextFileV2 FileSystemSetConfiguration SnapshotDatasetV2 Batch BatchFunction RecordInput FakeQueue
""".split()  # noqa: SIM905
NUMBERS = """
    Conv2D DepthwiseConv2dNative MatMul BatchMatMulV2 Einsum Relu Softmax FusedBatchNormV3 Mean Max StridedSlice Pad MirrorPad
    ResizeBilinear GatherV2 TensorListStack TensorListReserve While StatelessIf RandomUniform StatelessRandomUniformV2
    ImageProjectiveTransformV3 NonMaxSuppressionV5 TopKV2 Cumsum FFT QuantizeAndDequantizeV2 FakeQuantWithMinMaxVars LRN Assert
""".split()  # noqa: SIM905


def test_a_signature_that_says_of_an_input_what_its_graph_does_not(tmp_path):
    folder = export_v1(tmp_path / "sm")
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    (info,) = saved.meta_graphs[0].signature_def["serving_default"].inputs.values()
    info.dtype = tf.string.as_datatype_enum
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(ConversionError, match=r"can't take inputs of these sizes.*string.*expected float"):
        kerasq.convert(folder)


class TestTheList:
    def test_names_what_reaches_outside(self):
        nodes = [v1.NodeDef(name=f"n{number}", op=kind) for number, kind in enumerate(OUTSIDE)]
        refused = " ".join(trust.problems(nodes))
        assert [kind for kind in OUTSIDE if f"operation {kind} " not in refused] == []

    def test_lets_numbers_through(self):
        assert trust.problems([v1.NodeDef(name="n", op=kind) for kind in NUMBERS]) == []

    def test_names_what_is_not_of_tensorflow(self):
        (problem,) = trust.problems([v1.NodeDef(name="mine", op="MyOwnOperation")])
        assert "MyOwnOperation" in problem
        assert "'mine'" in problem
