"""The converter as its users call it: formats, settings, reports, errors."""

import json

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import FLOAT, L, build, images, randomized, sequential, signal_to_noise_db
from kerasq import format as kq
from kerasq.selftest import with_selftest
from kerasq.statistics import Statistics
from kerasq.verification.plan import lower_bound
from kerasq_convert import ConversionError, Converter
from kerasq_convert.command import main


@pytest.fixture(scope="module")
def binary():
    return build("residual_binary_weight")


@pytest.fixture(scope="module")
def floating():
    return build("residual")


def converted(model, **options):
    converter = Converter.from_keras_model(model)
    for name, value in options.items():
        setattr(converter, name, value)
    return converter, converter.convert()


def formats(content):
    return {tensor.name: str(tensor.format) for tensor in kq.loads(content).tensors}


def test_binary_kernels_become_signs_with_alpha_and_normalization_in_the_multiplier(binary):
    _, content = converted(binary)
    model = kq.loads(content)
    kernel, multiplier = model.tensor("stem/kernel"), model.tensor("stem/multiplier")
    assert str(kernel.format) == "SIGN"
    assert kernel.nbytes == 6 * 4  # 27 bits a channel, in whole words
    stem, norm = binary.get_layer("stem"), binary.get_layer("stem_bn")
    weights = np.asarray(stem.kernel).transpose(3, 0, 1, 2)
    np.testing.assert_array_equal(kernel.data, np.where(weights >= 0, 1, -1))
    alpha = np.abs(weights).mean(axis=(1, 2, 3))
    scale = np.asarray(norm.gamma) / np.sqrt(np.asarray(norm.moving_variance) + 1e-5) * alpha / 255
    np.testing.assert_allclose(multiplier.values, scale, rtol=1e-5)


def test_normalization_folds_into_fixed_kernels(floating):
    _, content = converted(floating)
    names = formats(content)
    assert "stem/multiplier" not in names
    assert names["stem/kernel"].startswith("FIXED8_")


def test_same_input_same_bytes(binary):
    assert converted(binary, representative_dataset=images(32))[1] == converted(binary, representative_dataset=images(32))[1]


@pytest.mark.parametrize("dataset", ["array", "file", "callable", "iterable", "lists"])
def test_representative_dataset_in_every_form(binary, tmp_path, dataset):
    data = images(32)
    np.save(tmp_path / "images.npy", data)
    forms = {
        "array": data,
        "file": tmp_path / "images.npy",
        "callable": lambda: (data[i : i + 1] for i in range(32)),
        "iterable": [data[:20], data[20:]],
        "lists": [[data[:20]], [data[20:]]],
    }
    _, content = converted(binary, representative_dataset=forms[dataset])
    assert content == converted(binary, representative_dataset=data)[1]


@pytest.mark.parametrize("fill_ranges", [False, True])  # by default examples may decide against it, which statistics can't
def test_training_statistics_serve_as_the_dataset_does(binary, fill_ranges, tmp_path):
    callback = kerasq.callbacks.ActivationStatistics(tmp_path, images(64))
    callback.set_model(binary)
    callback.on_train_begin()
    callback.on_epoch_end(0)
    callback.on_train_end()
    _, content = converted(binary, statistics=tmp_path, fill_ranges=fill_ranges)
    chosen = formats(content)
    observed = formats(converted(binary, representative_dataset=images(64), fill_ranges=fill_ranges)[1])
    different = {name for name in chosen if chosen[name] != observed[name]}
    assert not different
    assert chosen["stem_relu/output"].startswith("UFIXED8_")


def test_template_given_back_gives_the_same_file(binary, tmp_path):
    first, content = converted(binary, representative_dataset=images(32))
    path = tmp_path / "settings.yaml"
    path.write_text(first.settings_template())
    _, again = converted(binary, settings=path, representative_dataset=images(32))
    assert again == content
    without_examples = kq.loads(converted(binary, settings=path)[1])  # biases are not corrected, formats are the same
    assert [(each.name, each.format) for each in without_examples.tensors] == [
        (each.name, each.format) for each in kq.loads(content).tensors
    ]
    text = path.read_text()
    assert "stem/kernel: SIGN" in text
    assert "6x3x3x3" in text
    assert "automatic" in text


SETTINGS = {
    "float buffers, 8-bit parameters": {"buffers": {"*": "FLOAT32"}},
    "mixed 8 and 16 bits": {"buffers": {"unit_*": "FIXED16", "stem_relu/output": "FIXED8"}},
    "float in the middle": {"buffers": {"unit_conv1/output": "FLOAT32"}},
    "float input": {"buffers": {"image": "FLOAT32"}},
    "float output": {"buffers": {"classes/output": "FLOAT32", "classes/output:1": "FLOAT32"}},
    "pool in another format": {"buffers": {"pool/output": "FIXED16_9"}},
    "float kernels on fixed buffers": {"parameters": {"*": "FLOAT32"}},
    "16-bit kernels": {"parameters": {"*/kernel": "FIXED16", "classes/bias": "FIXED16"}},
    "4-bit kernel": {"parameters": {"unit_conv1/kernel": "FIXED4"}},
    "float multiplier": {"parameters": {"*/multiplier": "FLOAT32"}},
    "32-bit multiplier": {"parameters": {"*/multiplier": "FIXED32"}},
}


@pytest.mark.parametrize("family", ["binary", "floating"])
@pytest.mark.parametrize("case", list(SETTINGS))
def test_every_combination_runs(request, family, case):
    model = request.getfixturevalue(family)
    settings = SETTINGS[case]
    if case.endswith("multiplier") and family == "floating":
        settings = {}
    _, content = converted(model, settings=settings, representative_dataset=images(32))
    found = kerasq.Interpreter(model_content=content).predict(images())
    expected = np.asarray(model(images(), training=False))
    # Four bits in one layer cost more than the rest together.
    assert np.abs(found - expected).max() < (0.25 if case == "4-bit kernel" else 0.1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"parameters": {"stem/kernel": "SIGN"}}, ["stem/kernel", "not binary", "FIXED8"]),
        ({"buffers": {"stem_relu/output": "SIGN"}}, ["stem_relu/output", "can't be SIGN"]),
        ({"parameters": {"stem/bias": "SIGN"}}, ["stem/bias", "can't be SIGN"]),
        ({"parameters": {"stem/kernel": "UFIXED8"}}, ["stem/kernel", "UFIXED8"]),
        ({"buffers": {"stem_relu/output": "FIXED8"}}, ["stem_relu/output", "FIXED8_n", "--representative_dataset"]),
        (
            {"buffers": {"stem_rleu/output": "FIXED8"}, "parameters": {"x": "SIGN"}},
            ["2 problems", "stem_rleu", "stem_relu", "'x'"],
        ),
    ],
)
def test_impossible_settings(floating, settings, words):
    with pytest.raises(ConversionError) as error:
        converted(floating, settings=settings)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros((4, 9, 9, 3)), ["(4, 9, 9, 3)", "(count, 9, 10, 3"]),
        (np.full((4, 9, 10, 3), np.nan), ["finite"]),
        (np.zeros((0, 9, 10, 3)), ["empty"]),
        ("none.npy", ["none.npy", ".npy"]),
        ([], ["empty"]),
    ],
)
def test_impossible_datasets(binary, data, words):
    with pytest.raises(ConversionError) as error:
        converted(binary, representative_dataset=data)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_broken_statistics_file(binary, tmp_path):
    (tmp_path / "statistics.json").write_text("{}")
    with pytest.raises(ConversionError, match=r"statistics\.json"):
        converted(binary, statistics=tmp_path / "statistics.json")
    with pytest.raises(ConversionError, match="none"):
        converted(binary, statistics=tmp_path / "none")


def test_statistics_of_other_layers_are_reported(binary):
    statistics = Statistics()
    statistics.add("image", images(8))
    with pytest.raises(ConversionError, match=r"stem_relu/output, .*unit_relu/output"):
        converted(binary, statistics=statistics)
    converter, content = converted(binary, statistics=statistics, allow_float=True)
    assert formats(content)["image"] == "UFIXED8_0"
    assert any("stem_relu/output" in note for note in converter.report.notes)


def test_report_and_plan(binary):
    converter, content = converted(binary, representative_dataset=images(32))
    model, report = kq.loads(content), converter.report
    assert report.arena_bytes == model.arena_bytes >= report.arena_lower_bound >= lower_bound(model)
    assert report.arena_verdict == "optimal: no order of operators and no placement needs less"
    assert {row.name for row in report.buffers + report.parameters} == {tensor.name for tensor in model.tensors}
    assert ["scale", "stem", "stem_bn", "stem_relu"] in report.fused
    assert json.loads(json.dumps(report.to_dict()))["model_bytes"] == len(content)
    for words in ("stem/kernel", "SIGN", "arena", "scale + stem + stem_bn + stem_relu"):
        assert words in report.to_text()


def test_zero_kernel_converts():
    model = sequential(L.Conv2D(3, 3, kernel_initializer="zeros", name="zero"), L.ReLU(), L.Conv2D(2, 1))
    _, content = converted(model, representative_dataset=images(8))
    expected = np.asarray(model(images(), training=False))
    np.testing.assert_allclose(kerasq.Interpreter(model_content=content).predict(images()), expected, atol=0.02)


def test_sign_of_an_exact_zero_is_refused_or_kept_out_of_sign():
    model = sequential(kerasq.BinaryConnectConv2D(3, 3, quantize_zero_to=0.0, name="conv"))
    kernel = model.layers[0].kernel
    weights = np.array(kernel.numpy())
    weights[0, 0, 0, 0] = 0
    kernel.assign(weights)
    assert formats(converted(model)[1])["conv/kernel"].startswith("FIXED")
    with pytest.raises(ConversionError, match="conv/kernel"):
        converted(model, settings={"parameters": {"conv/kernel": "SIGN"}})


class TestCommand:
    @pytest.fixture
    def model_file(self, binary, tmp_path):
        path = tmp_path / "net.keras"
        binary.save(path)
        return path

    def test_converts_reports_and_writes_settings(self, model_file, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        np.save("images.npy", images(16))
        arguments = ["kerasq-convert", str(model_file), "--representative_dataset=images.npy", "--write_settings=s.yaml"]
        assert main(arguments) == 0
        assert "wrote net.kq" in capsys.readouterr().out
        content = (tmp_path / "net.kq").read_bytes()
        assert main([*arguments[:3], "--settings=s.yaml", "--output=again.kq", "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["output"] == "again.kq"
        assert (tmp_path / "again.kq").read_bytes() == content
        # Without the dataset the formats are the same; only the biases are not corrected.
        assert main([*arguments[:2], "--settings=s.yaml", "--output=plain.kq"]) == 0
        kinds = [[str(tensor.format) for tensor in kerasq.format.load(name).tensors] for name in ("net.kq", "plain.kq")]
        assert kinds[0] == kinds[1]

    def test_embeds_a_test_vector(self, model_file, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        np.save("images.npy", images(16))
        flags = ["--representative_dataset=images.npy", "--embed_test=images.npy", "--json"]
        assert main(["kerasq-convert", str(model_file), *flags]) == 0
        report = json.loads(capsys.readouterr().out)
        model = kerasq.format.load("net.kq")
        assert report["model_bytes"] == (tmp_path / "net.kq").stat().st_size
        assert report["written"] == ["net.kq"]
        assert model.test == with_selftest(model, [images(16)]).test

    @pytest.mark.parametrize(
        ("arguments", "status", "words"),
        [
            ([], 2, ["usage"]),
            (["a", "b"], 2, ["usage"]),
            (["none.keras"], 1, ["none.keras"]),
            (["net.keras", "--setings=x"], 2, ["setings"]),
            (["net.keras", "--settings=none.yaml"], 1, ["none.yaml"]),
            (["net.keras", "--output=no_folder/x.kq"], 1, ["no_folder"]),
        ],
    )
    def test_failures_exit_with_a_reason_and_write_nothing(
        self, model_file, tmp_path, capsys, monkeypatch, arguments, status, words
    ):
        monkeypatch.chdir(tmp_path)
        before = sorted(tmp_path.iterdir())
        assert main(["kerasq-convert", *arguments]) == status
        message = capsys.readouterr().err
        assert all(word in message for word in words), message
        assert sorted(tmp_path.iterdir()) == before


def test_convert_refuses_options_that_there_are_not(floating):
    with pytest.raises(TypeError, match="representative_data"):
        kerasq.convert(floating, representative_data=images(8))


def test_several_inputs_and_outputs():
    a, b = keras.Input((6, 6, 2), name="a"), keras.Input((6, 6, 2), name="b")
    joined = L.Add(name="joined")([L.Conv2D(3, 3, name="left")(a), L.Conv2D(3, 3, name="right")(b)])
    model = keras.Model([a, b], [L.ReLU(name="first")(joined), L.GlobalAveragePooling2D(name="second")(joined)])
    rng = np.random.default_rng(5)
    data = [[rng.normal(size=(16, 6, 6, 2)), rng.normal(size=(16, 6, 6, 2))]]
    _, content = converted(model, representative_dataset=data)
    found = kerasq.Interpreter(model_content=content).predict(data[0])
    expected = model.predict(data[0], verbose=0)
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one - other).max() < 0.15


def keyword_spotting():
    """MLPerf Tiny's DS-CNN: a rectangular kernel, depthwise-separable blocks, dropout, one average over the whole map."""
    inputs = x = keras.Input((49, 10, 1), name="spectrogram")
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(16, (10, 4), strides=2, padding="same")(x)))
    for block in range(2):
        x = L.ReLU()(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same", name=f"depthwise{block}")(x)))
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(16, 1, padding="same", name=f"pointwise{block}")(x)))
    x = L.Flatten()(L.AveragePooling2D((25, 5))(L.Dropout(0.4)(x)))
    return keras.Model(inputs, L.Dense(12, activation="softmax")(x))


def anomaly_detection():
    """MLPerf Tiny's autoencoder: Dense layers, each with BatchNorm and ReLU."""
    inputs = x = keras.Input((64,), name="frames")
    for width in (32, 32, 8, 32, 32):
        x = L.ReLU()(L.BatchNormalization()(L.Dense(width)(x)))
    return keras.Model(inputs, L.Dense(64)(x))


def visual_wake_words():
    """MLPerf Tiny's MobileNet with a quarter of the channels, on smaller images: ReLU6, padding of its own, dropout."""
    return keras.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, classes=2, dropout=0.1)


def streaming():
    """A temporal convolutional network, as for sensors: dilated causal convolutions, residual."""
    inputs = x = keras.Input((48, 6), name="samples")
    for block, dilation in enumerate((1, 2, 4, 8)):
        h = L.Conv1D(12, 3, padding="causal", dilation_rate=dilation, activation="relu", name=f"dilated{block}")(x)
        shortcut = x if block else L.Conv1D(12, 1, name="widened")(x)
        x = L.ReLU(name=f"relu{block}")(L.Add()([L.SpatialDropout1D(0.1)(h), shortcut]))
    return keras.Model(inputs, L.Dense(5, activation="softmax")(L.GlobalAveragePooling1D()(x)))


@pytest.mark.parametrize("network", [keyword_spotting, anomaly_detection, visual_wake_words, streaming])
def test_networks_of_mlperf_tiny_and_like_them(network):
    keras.utils.set_random_seed(31)
    model = randomized(network())
    data = np.random.default_rng(6).normal(size=(64, *model.input_shape[1:])).astype(np.float32)
    expected = model.predict(data, verbose=0)
    for options, decibels in (
        ({"settings": FLOAT}, 90),
        ({"representative_dataset": data}, 15),
    ):
        found = kerasq.Interpreter(model_content=converted(model, **options)[1]).predict(data)
        assert signal_to_noise_db(expected, found) > decibels
