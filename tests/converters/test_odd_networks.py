"""Networks, settings and data that are odd, but real: they convert to what Keras computes, or are refused with a reason."""

import pathlib

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import FLOAT, L
from kerasq import format as kq
from kerasq.statistics import Statistics
from kerasq_convert import ConversionError, Converter
from kerasq_convert.command import main


def data(*shape, seed=3):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def chain(*layers, shape=(6, 6, 3)):
    keras.utils.set_random_seed(8)
    return keras.Sequential([keras.Input(shape, name="image"), *layers])


def run(model, x, **options):
    return kerasq.Interpreter(model_content=kerasq.convert(model, **options)).predict(x)


def refused(model, **options):
    with pytest.raises(ConversionError) as error:
        kerasq.convert(model, **options)
    return str(error.value)


def tensor_formats(content):
    return {tensor.name: str(tensor.format) for tensor in kq.loads(content).tensors}


@pytest.fixture(scope="module")
def joined():
    """A convolution, the sum of its result and the input, and an average."""
    keras.utils.set_random_seed(8)
    image = keras.Input((6, 6, 3), name="image")
    x = L.Add(name="add")([image, L.Conv2D(3, 3, padding="same", name="conv", bias_initializer="normal")(image)])
    return keras.Model(image, L.AveragePooling2D(2, name="average")(x))


class TestFormatsThatDoNotFitTogether:
    @pytest.mark.parametrize(
        ("buffers", "words"),
        [
            (
                {"image": "FIXED8_40", "conv/output": "FIXED8_4"},
                ["ADD", "image (FIXED8_40)", "conv/output (FIXED8_4)", "settings"],
            ),
            ({"add/output": "FIXED8_40"}, ["AVERAGE_POOL_2D", "add/output (FIXED8_40)", "average/output", "settings"]),
        ],
    )
    def test_too_far_apart(self, joined, buffers, words):
        message = refused(joined, settings={"buffers": {"*": "FIXED8_4"} | buffers})
        assert all(word in message for word in words), message

    def test_a_table_of_what_settings_leave_in_float(self):
        """Other biases are measured by running the network, which no engine can."""
        layers = [L.Conv2D(4, 3, name="conv"), L.Activation("tanh", name="curve"), L.Conv2D(2, 3, bias_initializer="normal")]
        settings = {"buffers": {"conv/output": "FLOAT32"}}
        message = refused(chain(*layers), settings=settings, representative_dataset=data(16, 6, 6, 3))
        assert "LOOKUP 'curve/output' reads 'conv/output' as FLOAT32" in message

    def test_many_such_tables_are_told_by_their_number(self):
        layers = [layer for _ in range(5) for layer in (L.Conv2D(2, 1), L.Activation("tanh"))]
        with pytest.raises(ConversionError) as error:
            kerasq.convert(chain(*layers), settings=FLOAT)
        *named, last = error.value.problems
        assert len(named) == 3
        assert all("representative dataset" in problem for problem in named)
        assert last == "2 more tables read FLOAT32"

    @pytest.mark.parametrize("format_", ["FIXED8_40", "FIXED32_63"])
    def test_a_bias_finer_than_its_sum(self, joined, format_):
        message = refused(joined, settings={"buffers": {"*": "FIXED8_4"}, "parameters": {"conv/bias": format_}})
        assert f"conv/bias: it can't be {format_}" in message

    def test_the_command_says_so_in_one_message(self, joined, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        joined.save("net.keras")
        pathlib.Path("settings.yaml").write_text("buffers: {'*': FIXED8_4, add/output: FIXED8_40}")
        assert main(["kerasq-convert", "net.keras", "--settings=settings.yaml"]) == 1
        assert "add/output (FIXED8_40)" in capsys.readouterr().err
        assert not pathlib.Path("net.kq").exists()


def test_a_fixed_bias_beside_float_buffers_is_not_rounded_to_the_kernels_grid():
    model = chain(kerasq.BinaryConnectConv2D(2, 3, bias_initializer=keras.initializers.Constant(0.3), name="conv"))
    found = run(model, data(4, 6, 6, 3), settings={"parameters": {"conv/bias": "FIXED16"}})
    np.testing.assert_allclose(found, model(data(4, 6, 6, 3)), atol=1e-4)


class TestValuesBeyondAllFormats:
    @pytest.mark.parametrize("magnitude", [1e13, 1e30])
    def test_kernel(self, magnitude):
        model = chain(L.Conv2D(2, 3, kernel_initializer=keras.initializers.RandomNormal(0, magnitude), name="conv"))
        assert "conv/kernel" in refused(model)
        found = run(model, data(2, 6, 6, 3), settings={"parameters": {"conv/kernel": "FLOAT32"}})
        np.testing.assert_allclose(found, model(data(2, 6, 6, 3)), rtol=1e-4, atol=1e-5 * magnitude)

    def test_kernel_beyond_float32(self):
        kernel = keras.initializers.RandomNormal(0, 1e30)
        assert "conv/kernel" in refused(
            chain(L.Conv2D(2, 3, kernel_initializer=kernel, name="conv"), L.Rescaling(1e30)), settings=FLOAT
        )

    @pytest.mark.parametrize("values", [np.full((2, 3), 1e30), np.array([[1.0, np.nan]]), np.array([[np.inf, np.inf]])])
    def test_observed_range(self, joined, values):
        statistics = Statistics()
        statistics.add("add/output", values)
        assert "add/output" in refused(joined, statistics=statistics)
        settings = {"buffers": {"add/output": "FIXED8_4", "average/output": "FIXED8_4"}}
        content = kerasq.convert(joined, statistics=statistics, settings=settings, allow_float=True)
        assert tensor_formats(content)["add/output"] == "FIXED8_4"


class TestDatasets:
    @pytest.mark.parametrize(
        ("dataset", "words"),
        [
            (5, ["Received: int"]),
            (lambda: None, ["Received: NoneType"]),
            (np.array(1.0), ["Received: ()"]),
            (np.full((2, 6, 6, 3), 1e300), ["216", "float32"]),
            (np.ones((2, 6, 6, 3), complex), ["complex128"]),
        ],
    )
    def test_what_is_none(self, joined, dataset, words):
        message = refused(joined, representative_dataset=dataset)
        assert all(word in message for word in ("representative dataset", *words)), message

    def test_an_archive_called_an_array(self, joined, tmp_path):
        np.savez(tmp_path / "images.npz", data(2, 6, 6, 3))
        (tmp_path / "images.npz").rename(tmp_path / "images.npy")
        assert "archive of arrays: call it .npz" in refused(joined, representative_dataset=tmp_path / "images.npy")


@pytest.mark.parametrize("name", ["on", "010", "null", "0x10"])
def test_names_that_yaml_reads_as_something_else(name, tmp_path):
    keras.utils.set_random_seed(8)
    model = keras.Sequential([keras.Input((6, 6, 3), name=name), L.Conv2D(2, 3)])
    converter = Converter(model)
    content = converter.convert()
    (tmp_path / "settings.yaml").write_text(converter.settings_template())
    assert kerasq.convert(model, settings=tmp_path / "settings.yaml") == content


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("buffers: {image: 2020-13-45}", "'image': A format is one of"),
        ("buffers: {[image]: FIXED8_4}", "a name must be a text, line 1"),
        ("? {a: b}\n: c", "a name must be a text, line 1"),
        ("buffers: {image: FIXED8_4", "this is not valid YAML"),
    ],
)
def test_odd_yaml(joined, text, reason, tmp_path):
    (tmp_path / "settings.yaml").write_text(text)
    assert f"settings.yaml: {reason}" in refused(joined, settings=tmp_path / "settings.yaml")


@pytest.mark.parametrize(
    "layers",
    [
        lambda: (L.GlobalMaxPooling2D(keepdims=True), L.Dense(4)),
        lambda: (L.Conv2D(2, (1, 6)), L.Permute((2, 1, 3)), L.Conv2D(2, (1, 3))),
    ],
)
def test_transpositions_that_move_nothing(layers):
    model = chain(*layers())
    np.testing.assert_allclose(run(model, data(2, 6, 6, 3), settings=FLOAT), model(data(2, 6, 6, 3)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, [0.5, 1.0, -2.0]])
def test_binary_kernels_stay_signs_behind_a_normalization(scale):
    norm = L.BatchNormalization(gamma_initializer=keras.initializers.Constant(1.0), name="norm")
    model = chain(norm, kerasq.BinaryConnectConv2D(2, 3, name="conv"))
    norm.gamma.assign(np.broadcast_to(scale, 3))
    content = kerasq.convert(model)
    assert tensor_formats(content)["conv/kernel"] == "SIGN"
    found = kerasq.Interpreter(model_content=content).predict(data(4, 6, 6, 3))
    np.testing.assert_allclose(found, model(data(4, 6, 6, 3), training=False), atol=1e-2)


class TestOutputs:
    def test_one_value_shown_twice(self):
        image = keras.Input((6, 6, 3), name="image")
        x = L.Conv2D(2, 3, name="conv")(image)
        model = keras.Model(image, [x, image, x, image])
        for found, expected in zip(run(model, data(2, 6, 6, 3), settings=FLOAT), model(data(2, 6, 6, 3)), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)

    def test_an_input_that_is_quantized_and_shown(self):
        image = keras.Input((6, 6, 3), name="image")
        model = keras.Model(
            image, [kerasq.layers.FixedPointQuantize(8, 6)(image), kerasq.layers.FixedPointQuantize(8, 2)(image), image]
        )
        for found, expected in zip(run(model, data(2, 6, 6, 3)), model(data(2, 6, 6, 3)), strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("signed", [True, False])
def test_four_bit_activations_are_stored_in_eight(signed):
    model = chain(kerasq.layers.FixedPointQuantize(4, 1, signed=signed, name="quantize"))
    content = kerasq.convert(model)
    assert tensor_formats(content)["quantize/output"] == ("FIXED8_1" if signed else "UFIXED8_1")
    x = 5 * data(4, 6, 6, 3)
    np.testing.assert_array_equal(kerasq.Interpreter(model_content=content).predict(x), model(x))


def test_what_keras_says_of_an_odd_name_is_passed_on():
    message = refused(chain(L.Conv2D(2, 3, name="conv[1]")))
    assert "'conv[1]' is not a valid scope name" in message
    assert "\x1b" not in message


def test_an_open_size_is_told_of_the_model():
    message = refused(keras.Sequential([keras.Input((None, None, 3)), L.Conv2D(2, 3)], name="net"))
    assert "model 'net'" in message
    assert "every size but the batch must be fixed" in message


class TestAxes:
    def test_more_than_a_file_has_are_refused_by_the_names_of_the_layers(self):
        model = chain(L.Flatten(), L.Dense(40), L.Reshape((5, 1, 1, 8), name="wide"), L.Dense(6, name="last"))
        message = refused(model)
        assert "layer 'wide' gives 5 axes, (batch, 5, 1, 1, 8)" in message
        assert "layer 'last'" in message
        assert "Reshape" in message

    def test_inputs_of_five_axes(self):
        assert "input 'image' has 5 axes" in refused(chain(L.Flatten(), L.Dense(2), shape=(2, 3, 4, 2)))

    def test_more_axes_between_layers_are_in_order(self):
        model = chain(L.Dense(4), L.Reshape((3, 2, 6, 4)), L.Permute((2, 1, 3, 4)), L.Reshape((36, 4)), L.Conv1D(2, 3))
        np.testing.assert_allclose(run(model, data(2, 6, 6, 3), settings=FLOAT), model(data(2, 6, 6, 3)), rtol=1e-5, atol=1e-5)

    def test_an_output_of_the_batch_alone_has_one_value_for_each_example(self):
        x = keras.Input((8,), name="x")
        model = keras.Model(x, keras.ops.squeeze(L.Dense(1)(x), -1))
        found = run(model, data(5, 8), settings=FLOAT)
        np.testing.assert_allclose(found.reshape(-1), model(data(5, 8)), rtol=1e-5, atol=1e-5)
