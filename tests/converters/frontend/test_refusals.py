"""All that can't be converted, in one message: each by its layer or function, with its own reason and remedy."""

import re

import keras
import pytest

import kerasq
from converters.zoo import L
from kerasq_convert import ConversionError

o = keras.ops


def problems(source):
    with pytest.raises(ConversionError) as error:
        kerasq.convert(source)
    return error.value.problems


def one(*layers, shape=(8, 16)):
    """The one problem of a chain of layers."""
    (problem,) = problems(keras.Sequential([keras.Input(shape), *layers]))
    return problem


def subjects(source):
    return [re.sub(r"^(keras\.ops\.\w+) .*", r"\1", problem.split(":")[0]) for problem in problems(source)]


def of(build, shape=(8, 16)):
    x = keras.Input(shape, name="x")
    return keras.Model(x, build(x), name="net")


class TestAllAtOnce:
    @pytest.mark.parametrize(
        "first",
        [
            lambda: L.LSTM(6, return_sequences=True, name="first"),
            lambda: L.GRU(6, return_sequences=True, unroll=True, name="first"),
            lambda: L.Bidirectional(L.SimpleRNN(3, return_sequences=True), name="first"),
            lambda: L.MaxPooling1D(2, data_format="channels_first", name="first"),
            lambda: L.Resizing(5, 5, name="first"),
        ],
    )
    def test_what_lies_behind_a_refused_layer(self, first):
        layer = first()
        x = keras.Input((8, 16) if layer.name != "first" or not isinstance(layer, L.Resizing) else (8, 8, 3))
        y = L.Activation("log_softmax", name="second")(layer(x))
        y = L.Activation("log_softmax", name="third")(L.Dense(y.shape[-1], name="good")(y))
        found = problems(keras.Model(x, o.cumsum(y, axis=1)))
        assert [name for name in ("second", "third", "cumsum") if not any(name in problem for problem in found)] == []
        assert not any("'good'" in problem for problem in found)

    def test_functions_by_their_names(self):
        found = subjects(of(lambda x: o.cumsum(o.prod(L.Dense(4)(o.sort(x)), axis=-1, keepdims=True), axis=1)))
        assert found == ["keras.ops.sort", "keras.ops.prod", "keras.ops.cumsum"]

    def test_functions_by_their_places(self):
        (problem,) = problems(of(lambda x: o.cumsum(o.roll(L.Dense(4, name="dense")(x), 1, axis=1), axis=1)))
        assert "keras.ops.roll" in problem.split(":")[0]
        (problem,) = problems(of(lambda x: o.cumsum(L.Dense(4, name="dense")(x), axis=1)))
        assert "layer 'dense'" in problem.split(":")[0]

    def test_functions_and_layers_within_nested_models(self):
        inner = of(lambda x: L.Activation("log_softmax", name="unit")(o.sort(x, axis=1)))
        found = subjects(of(lambda x: o.cumsum(inner(x), axis=1)))
        assert found == ["keras.ops.sort", "layer 'net/unit' (Activation)", "keras.ops.cumsum"]

    def test_a_file_tells_as_much_as_the_model(self, tmp_path):
        model = of(
            lambda x: L.Activation("log_softmax", name="unit")(
                o.sort(L.Activation("log_softmax", name="norm")(L.Dense(16)(x)), axis=1)
            )
        )
        model.save(tmp_path / "net.keras")
        assert subjects(model) == subjects(tmp_path / "net.keras")
        assert len(subjects(model)) == 3

    def test_a_saved_model_by_operations_and_scopes(self, tmp_path):
        lstm = L.LSTM(6, return_sequences=True, name="lstm")
        of(lambda x: L.Activation("log_softmax", name="norm")(o.cumsum(lstm(x), axis=1)), (70, 16)).export(
            tmp_path, verbose=False
        )
        text = " ".join(problems(tmp_path))
        assert all(word in text for word in ("layer 'lstm'", "operation 'net_1/Cumsum' (Cumsum)", "layer 'norm'")), text

    def test_the_model_is_left_as_it_was(self):
        model = of(lambda x: o.sort(x, axis=1))
        problems(model)
        assert not any("call" in vars(operation) for operation in model.operations)


QUANTIZED = keras.Sequential([keras.Input((16,)), L.Dense(5, name="it")])
QUANTIZED.quantize("int8")


@pytest.mark.parametrize(
    ("problem", "reason", "remedy"),
    [
        (lambda: one(L.MelSpectrogram(8, 4, num_mel_bins=4, sampling_rate=100, name="it"), shape=(32,)), "spectrogram", "before"),
        (lambda: one(L.LayerNormalization(axis=(1, 2), name="it"), shape=(1025, 1024)), "1,048,576 values", "the channels"),
        (lambda: one(L.Lambda(lambda x: x + o.rsqrt(o.mean(x * x, 1, keepdims=True)), name="it")), "own statistics", "RMSNorm"),
        (lambda: one(L.Masking(name="it")), "mask of time steps", "before the network"),
        (lambda: one(L.Softmax(axis=(1, 2), name="it")), "over several", "Reshape"),
        (lambda: one(L.LSTM(4, name="it"), shape=(70, 16)), "time steps", "Conv1D"),
        (lambda: problems(QUANTIZED)[0], "int8", "before quantize"),
        (lambda: problems(of(lambda x: o.sort(x, axis=1)))[0], "in order", "code that reads"),
        (lambda: one(L.EinsumDense("abc,bd->adc", output_shape=(4, None), name="it")), "other axes", "Dense"),
    ],
)
def test_the_right_reason(problem, reason, remedy):
    text = problem()
    assert reason in text
    assert remedy in text
    assert "'it'" in text or "keras.ops.sort" in text
