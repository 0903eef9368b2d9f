"""What other tools wrote: signatures, fixed batches, fake quantization, kernels on a grid, raw pixels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasq
from converters.zoo import FLOAT, L, images, sequential
from kerasq import format as kq
from kerasq_convert import ConversionError, Converter
from kerasq_convert.command import main


def formats(content):
    return {tensor.name: str(tensor.format) for tensor in kq.loads(content).tensors}


def predict(content, x):
    return kerasq.Interpreter(model_content=content).predict(x)


def data(*shape):
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


class Pair(tf.Module):
    """Two networks in one SavedModel."""

    def __init__(self):
        self.weights = tf.Variable(data(4, 3))

    @tf.function(input_signature=[tf.TensorSpec((None, 4), name="x")])
    def forward(self, x):
        return {"y": x @ self.weights}

    @tf.function(input_signature=[tf.TensorSpec((None, 3), name="y")])
    def backward(self, y):
        return {"x": y @ tf.transpose(self.weights)}


@pytest.fixture(scope="module")
def two_signatures(tmp_path_factory):
    folder, pair = tmp_path_factory.mktemp("pair"), Pair()
    tf.saved_model.save(pair, folder, signatures={"forward": pair.forward, "backward": pair.backward})
    return folder, pair.weights.numpy()


class TestSignatures:
    def test_by_name(self, two_signatures):
        folder, weights = two_signatures
        for name, matrix in (("forward", weights), ("backward", weights.T)):
            x = data(5, len(matrix))
            content = kerasq.convert(folder, signature=name, settings=FLOAT)
            np.testing.assert_allclose(predict(content, x), x @ matrix, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("signature", [None, "sideways"])
    def test_those_that_there_are_get_listed(self, two_signatures, signature):
        with pytest.raises(ConversionError, match=r"\(it has: backward, forward\).*--signature"):
            kerasq.convert(two_signatures[0], signature=signature)

    def test_in_the_command(self, two_signatures, tmp_path):
        output = tmp_path / "net.kq"
        assert main(["kerasq-convert", str(two_signatures[0]), "--signature=backward", f"--output={output}"]) == 0
        assert kq.loads(output.read_bytes()).tensors[0].shape == (1, 3)


def test_a_batch_of_fixed_size_becomes_one():
    keras.utils.set_random_seed(6)
    layers = [L.Conv1D(4, 3), L.Dense(6), L.Reshape((6, 14)), L.Conv1D(2, 3), L.Flatten(), L.Dense(3)]
    model = keras.Sequential([keras.Input(batch_shape=(8, 16, 3), name="signal"), *layers])
    content = kerasq.convert(model, settings=FLOAT)
    assert kq.loads(content).tensors[0].shape == (1, 16, 3)
    np.testing.assert_allclose(predict(content, data(8, 16, 3)), model(data(8, 16, 3)), rtol=1e-5, atol=1e-5)


class TestRawPixels:
    def test_without_examples_the_input_alone_is_fixed(self):
        model = sequential(L.Rescaling(1 / 255), L.Conv2D(4, 3, name="conv", use_bias=False))
        content = kerasq.convert(model, input_type="UFIXED8_0", settings={"parameters": {"*": "FLOAT32"}})
        assert formats(content)["image"] == "UFIXED8_0"
        np.testing.assert_allclose(predict(content, images()), model(images()), rtol=1e-5, atol=1e-5)

    def test_no_operator_is_spent_on_the_rescaling(self):
        model = sequential(L.Rescaling(1 / 127.5, offset=-1.0), L.Conv2D(4, 3, name="conv"))
        content = kerasq.convert(model, input_type="UFIXED8_0", representative_dataset=images(32))
        assert [str(operator.kind) for operator in kq.loads(content).operators] == ["CONV_2D"]

    def test_a_line_that_names_the_input_goes_before_a_pattern_after(self):
        model = sequential(L.Conv2D(4, 3, name="conv"))
        for line, expected in (("image", "FIXED16_4"), ("*", "UFIXED8_0")):
            content = kerasq.convert(model, input_type="UFIXED8_0", settings={"buffers": {line: "FIXED16_4"}})
            assert formats(content)["image"] == expected

    def test_a_type_that_is_none(self):
        with pytest.raises(ConversionError, match=r"input_type: .*UFIXED8_0"):
            kerasq.convert(sequential(L.ReLU()), input_type="uint8")

    def test_in_the_command(self, tmp_path):
        sequential(L.Conv2D(2, 3)).save(tmp_path / "net.keras")
        output = tmp_path / "net.kq"
        assert main(["kerasq-convert", str(tmp_path / "net.keras"), "--input_type=UFIXED8_0", f"--output={output}"]) == 0
        assert formats(output.read_bytes())["image"] == "UFIXED8_0"


class FakeQuantized(L.Layer):
    """`tf.quantization.fake_quant_*` of its input, by arguments or by variables."""

    def __init__(self, low, high, bits=8, narrow=False, variables=False, **options):
        super().__init__(**options)
        self.arguments = {"num_bits": bits, "narrow_range": narrow}
        self.range, self.by_variables = (low, high), variables

    def call(self, x):
        quantize = tf.quantization.fake_quant_with_min_max_args
        if self.by_variables:
            quantize = tf.quantization.fake_quant_with_min_max_vars
        return quantize(x, *self.range, **self.arguments)


class TestFakeQuantization:
    @pytest.mark.parametrize("variables", [False, True])
    @pytest.mark.parametrize(
        ("low", "high", "bits", "narrow", "expected"),
        [
            (-1.0, 127 / 128, 8, False, "FIXED8_7"),
            (-127 / 64, 127 / 64, 8, True, "FIXED8_6"),
            (0.0, 255 / 32, 8, False, "UFIXED8_5"),
            (-8.0, 8 - 2**-12, 16, False, "FIXED16_12"),
            (0.0, 15 / 4, 4, False, "UFIXED8_2"),
            (-3.0, 252.0, 8, False, "FIXED16_0"),
        ],
    )
    def test_steps_of_a_power_of_two_are_formats(self, low, high, bits, narrow, expected, variables):
        keras.utils.set_random_seed(1)
        layer = FakeQuantized(low, high, bits, narrow, variables, name="quantize")
        model = keras.Sequential([keras.Input((6, 6, 3), name="image"), layer])
        content = kerasq.convert(model)
        assert formats(content)["quantize/output"] == expected
        x = np.float32(1.5 * high) * data(4, 6, 6, 3)
        np.testing.assert_array_equal(predict(content, x), model(x))

    def test_other_steps_are_ranges_and_a_note_says_so(self):
        model = keras.Sequential([keras.Input((6, 6, 3), name="image"), FakeQuantized(-1.0, 2.0, name="quantize")])
        converter = Converter(model)
        content = converter.convert()
        assert any("'quantize'" in note and "no power of two" in note for note in converter.report.notes)
        x = 3 * data(4, 6, 6, 3)
        np.testing.assert_allclose(predict(content, x), model(x), atol=0.5 * 3 / 255 + 1e-6)

    def test_a_range_without_zero(self):
        model = keras.Sequential([keras.Input((6, 6, 3)), FakeQuantized(1.0, 2.0, name="quantize")])
        with pytest.raises(ConversionError, match=r"'quantize'.*must hold 0"):
            kerasq.convert(model)


class TestKernelsThatOthersQuantized:
    @pytest.mark.parametrize(
        ("quantize", "expected"),
        [
            (np.sign, "SIGN"),
            (lambda w: np.sign(w) * np.abs(w).mean((0, 1, 2)), "SIGN"),
            (lambda w: np.sign(w) * (np.abs(w) > 0.1), "FIXED2_0"),
            (lambda w: np.round(w * 64) / 64, "FIXED8"),
            (lambda w: np.round(w * 4096) / 4096, "FIXED16"),
        ],
    )
    def test_are_taken_as_they_are(self, quantize, expected):
        model = sequential(L.Conv2D(4, 3, name="conv"), L.BatchNormalization())
        layer = model.get_layer("conv")
        layer.kernel.assign(quantize(layer.kernel.numpy()).astype(np.float32))
        content = kerasq.convert(model)
        assert formats(content)["conv/kernel"].startswith(expected)
        kernel = next(tensor for tensor in kq.loads(content).tensors if tensor.name == "conv/kernel")
        if expected != "SIGN":
            np.testing.assert_array_equal(kernel.values, layer.kernel.numpy().transpose(3, 0, 1, 2))
        found = predict(content, images() / 255)
        np.testing.assert_allclose(found, model(images() / 255), atol=2e-3)


def test_a_conversion_writes_nothing_into_tensorflows_log(monkeypatch):
    said, log = [], tf.get_logger()
    monkeypatch.setattr(log, "handle", said.append)
    before = log.level
    try:
        log.setLevel("INFO")
        kerasq.convert(sequential(L.Conv2D(2, 3)), settings=FLOAT)
        assert said == []
        log.info("as ever")
        assert len(said) == 1
    finally:
        log.setLevel(before)
