"""The error of every layer: against errors worked out by hand, against the engine, and against networks really promoted."""

import dataclasses
import json
import math

import numpy as np
import pytest

import kerasq
from converters.zoo import L, build, images, sequential, signal_to_noise_db
from kerasq import format as kq
from kerasq import ops
from kerasq.commands.inspect import main as inspect
from kerasq.interpreter.reference import ReferenceEngine
from kerasq.qformat import QFormat
from kerasq_convert import ConversionError, Converter, float_model
from kerasq_convert.command import main
from kerasq_convert.comparison.analysis_text import percent, to_text
from kerasq_convert.comparison.layers import Noise, analyze
from kerasq_convert.comparison.promotion import variants
from kerasq_convert.network import ZEROS, zeros_of
from networks import NetworkBuilder


def chain(first, second):
    """image -> a/output -> b/output, nothing but changes of format."""
    net = NetworkBuilder()
    x = net.activation("image", (1, 4), "FLOAT32" if first == "FLOAT32" else "FIXED8_4")
    a = net.apply("QUANTIZE", (x,), first, "a/output")
    return net.build((x,), (net.apply("QUANTIZE", (a,), second, "b/output"),))


def converted(model, **options):
    converter = Converter.from_keras_model(model)
    converter.representative_dataset = images(40)
    converter.per_channel = converter.correct_bias = converter.fill_ranges = False  # so that a promotion is all that changes
    converter.analyze = True
    for name, value in options.items():
        setattr(converter, name, value)
    content = converter.convert()
    return converter.report.analysis, kq.loads(content)


@pytest.fixture(scope="module")
def residual():
    return build("residual")


@pytest.fixture(scope="module")
def analyzed(residual):
    return converted(residual)


def test_errors_by_hand():
    """Sixteenths rounded to quarters: 1/16 -> 0, 5/16 -> 1/4, 1/2 stays, and 9 saturates at the input already."""
    values = np.array([[1 / 16, 5 / 16, 0.5, 9.0]], np.float32)
    analysis = analyze(chain("FIXED8_2", "FIXED8_4"), chain("FLOAT32", "FLOAT32"), [values])
    image, a, b = analysis.layers
    signal, at_input = float(np.sum(values**2)), (9 - 127 / 16) ** 2
    for noise in (image.accumulated, image.alone, image.storage):
        assert (noise.power, noise.signal) == (at_input, signal)
    assert (image.kind, image.saturated, image.at_limits) == ("input", 0.25, 0.25)
    rounding = 2 * (1 / 16) ** 2
    assert a.storage.power == rounding  # 9 fits FIXED8_2
    assert a.alone.power == a.accumulated.power == rounding + (9 - 8) ** 2  # 127 / 16 rounds to 8
    assert (a.saturated, a.at_limits) == (0, 0)
    assert b.accumulated.power == rounding + at_input  # 8 saturates again
    assert b.storage.power == at_input
    assert b.alone.power == rounding + at_input  # a/output in its format, then b/output in its own
    assert analysis.saturating == [image, b]
    assert (analysis.examples, analysis.outputs, analysis.unmatched) == (1, ["b/output"], [])


def test_an_offset_is_no_signal():
    """Values about 4, which stands for 0: rounded to quarters, they lose more of what they mean than of what they are."""
    values = np.array([[4 + 1 / 16, 4 - 1 / 16, 4.5, 4.0]], np.float32)
    quantized, reference = chain("FIXED8_2", "FIXED8_4"), chain("FLOAT32", "FLOAT32")
    told = dataclasses.replace(reference, metadata={ZEROS: json.dumps({"a/output": 4.0})})
    without, offset = (analyze(quantized, model, [values]) for model in (reference, told))
    meant = 2 / 16**2 + 0.5**2
    for name in ("accumulated", "alone", "storage"):
        noise = getattr(offset.layer("a/output"), name)
        assert (noise.power, noise.signal) == (2 / 16**2, meant)
        assert getattr(without.layer("a/output"), name).signal == float(np.sum(values**2))
        assert getattr(offset.layer("b/output"), name) == getattr(without.layer("b/output"), name)
    (added,) = (one for one in offset.contributions if one.name == "a/output")
    assert [noise.signal for noise in (added.added, added.storage, added.saturation)] == [meant] * 3
    np.testing.assert_allclose(added.channels, [1 / 16, 1 / 16, 0.5, 0.0])


def test_of_a_network_with_offsets_the_float_network_tells_them():
    model = sequential(L.Conv2D(8, 3, activation="swish", name="conv"), L.Conv2D(4, 3, padding="same", name="last"))
    model.get_layer("conv").kernel.assign(np.random.default_rng(1).normal(scale=0.002, size=(3, 3, 3, 8)))
    analysis, stored = converted(model, fill_ranges=True)
    zeros = zeros_of(float_model(model, stored))
    format_, layer = stored.tensor("conv/output").format, analysis.layer("conv/output")
    assert zeros["conv/output"] == stored.operators[2].zero * format_.step > 0
    values = format_.dequantize(kerasq.Interpreter(model_content=kq.dumps(stored)).tensors(images(40))["conv/output"])
    assert layer.accumulated.signal == pytest.approx(np.sum((values - zeros["conv/output"]) ** 2), rel=0.05)
    assert layer.accumulated.signal < 0.9 * np.sum(values**2)


def test_accumulated_error_is_that_of_the_engine(residual, analyzed):
    analysis, model = analyzed
    found = kerasq.Interpreter(model_content=model).tensors(images(40))
    wanted = kerasq.Interpreter(model_content=float_model(residual), engine="reference").tensors(images(40))
    assert [layer.name for layer in analysis.layers] == list(found)
    for layer in analysis.layers:
        values = model.tensor(layer.name).format.dequantize(found[layer.name], np.float64)
        expected = np.sum((values - wanted[layer.name].astype(np.float64)) ** 2)
        # Another size of batch may sum the float network in another order: 5e-9 with AVX-512, nothing with AVX2.
        assert layer.accumulated.power == pytest.approx(expected, rel=1e-7), layer.name
    output = analysis.layers[-1]
    predicted = kerasq.Interpreter(model_content=model).predict(images(40))
    assert output.accumulated.sqnr_db == pytest.approx(
        signal_to_noise_db(residual.predict(images(40), verbose=0), predicted), abs=0.1
    )


def test_each_error_alone_starts_from_float_inputs(analyzed):
    analysis, _ = analyzed
    assert analysis.layers[0].accumulated == analysis.layers[0].alone
    assert analysis.layer("unit_relu/output").alone.power < analysis.layer("unit_relu/output").accumulated.power
    for layer in analysis.layers:
        assert layer.storage.share <= layer.alone.share * 1.001, layer.name


def test_one_pass_over_the_data(residual, analyzed, monkeypatch):
    runs = []
    original = ReferenceEngine.run
    monkeypatch.setattr(
        ReferenceEngine, "run", lambda self, inputs, observe: runs.append(len(inputs[0])) or original(self, inputs, observe)
    )
    again = analyze(analyzed[1], float_model(residual), [images(40)])
    assert runs == [16, 16, 8]
    assert again.to_dict() == analyzed[0].to_dict()


def kernel_bytes(model):
    """Of all constants but biases and multipliers, whose formats follow from those of kernels and outputs."""
    return sum(tensor.nbytes for tensor in model.constants() if not tensor.name.endswith(("/bias", "/multiplier")))


@pytest.mark.parametrize("what", ["output", "kernel", "both"])
@pytest.mark.parametrize("layer", ["unit_conv1", "stem_relu", "unit_relu"])
def test_promotions_are_those_of_a_network_so_converted(residual, analyzed, layer, what):
    """Settings that ask for the promoted formats give the sizes and the error that the analysis foretold."""
    analysis, model = analyzed
    name = f"{layer}/output"
    kernel = {"unit_conv1": "unit_conv1", "stem_relu": "stem", "unit_relu": "unit_conv2"}[layer] + "/kernel"
    before = analysis.layer(name)
    promotion = next(promotion for promotion in before.promotions if promotion.what == what)
    settings = {}
    if what != "kernel":
        old = model.tensor(name).format
        settings["buffers"] = {name: f"{'' if old.signed else 'U'}FIXED16_{old.frac_bits + 6}"}
    if what != "output":
        settings["parameters"] = {kernel: "FIXED16"}
    after, promoted = converted(residual, settings=settings)
    assert promotion.arena_bytes == promoted.arena_bytes - model.arena_bytes
    assert kernel_bytes(promoted) - kernel_bytes(model) == promotion.model_bytes
    assert promotion.alone.sqnr_db == pytest.approx(after.layer(name).alone.sqnr_db, abs=0.05)
    assert promotion.gain_db(before.alone) > 0


def test_a_pool_is_promoted_with_what_it_reads(analyzed):
    """Pooling has one format for both, so the promotion widens both: the input's and the output's bytes double."""
    analysis, _ = analyzed
    promotion = analysis.layer("pool/output").promotions[0]
    assert promotion.what == "output"
    assert promotion.arena_bytes > 0
    assert promotion.alone.sqnr_db > analysis.layer("pool/output").alone.sqnr_db + 30


def test_an_input_that_is_promoted_with_an_output_has_its_zero_in_its_new_format():
    """The second convolution's addend gets 16 bits, so that its sum must get finer, and with it what both read."""
    rng, net = np.random.default_rng(2), NetworkBuilder()
    x = net.activation("x", (1, 4, 4, 2), "UFIXED8_4")
    kernels = [net.constant(f"kernel{i}", rng.choice([-1, 1], (2, 3, 3, 2)), "SIGN") for i in range(2)]
    padding = {"padding": (1, 1, 1, 1), "zero": 90}
    first = net.apply("CONV_2D", {"input": x, "kernel": kernels[0]}, "UFIXED8_4", "first", **padding)
    parts = {"input": x, "kernel": kernels[1], "addend": first}
    model = net.build((x,), (net.apply("CONV_2D", parts, "UFIXED8_4", "second", **padding),))
    (wide,) = (variant for variant in variants(model, model)(0) if variant.what == "output")
    assert [str(form) for _, form in wide.inputs] == ["UFIXED16_10"]
    stored = rng.integers(0, 256, (3, 4, 4, 2)).astype(np.uint16)
    (index,), tensors = model.operators[0].outputs, list(model.tensors)
    tensors[index] = dataclasses.replace(tensors[index], format=QFormat.parse("UFIXED16_4"))
    unsaturated = ops.prepare(dataclasses.replace(model, tensors=tuple(tensors)), model.operators[0])
    exact = np.minimum(unsaturated(stored.astype(np.uint8)), 1023)
    np.testing.assert_array_equal(wide.run(stored << 6) >> 6, exact)


def test_scores_are_promoted_with_the_table_of_the_softmax(analyzed):
    scores = analyzed[0].layer("classes/output:1")
    assert [promotion.model_bytes for promotion in scores.promotions if promotion.what == "output"] == [
        512
    ]  # 512 entries, not 256


def test_signs_have_no_kernel_to_promote():
    analysis, model = converted(build("residual_binary_weight"))
    whats = {layer.name: [promotion.what for promotion in layer.promotions] for layer in analysis.layers}
    assert model.tensor("stem/kernel").format.is_sign
    assert whats["stem_relu/output"] == ["output"]
    assert whats["classes/output:1"] == ["output", "kernel", "both"]


def test_kernels_scaled_by_channel_are_promoted_beside_their_multiplier(residual):
    analysis, model = converted(residual, per_channel=True)
    assert any(tensor.name == "stem/multiplier" for tensor in model.constants())
    layer = analysis.layer("stem_relu/output")
    both = next(promotion for promotion in layer.promotions if promotion.what == "both")
    assert both.gain_db(layer.alone) > 6


def test_floats_and_16_bits_have_no_promotion(residual):
    analysis, _ = converted(residual, settings={"buffers": {"*": "FLOAT32", "unit_conv1/output": "FIXED16_8"}})
    assert not any(promotion.what != "kernel" for layer in analysis.layers for promotion in layer.promotions)


def test_a_step_within_a_layer_belongs_to_the_layer_that_follows():
    model = sequential(L.Conv2D(4, 3, name="conv"), L.MaxPooling2D(2, name="pool"))
    analysis, _ = converted(model, settings={"buffers": {"pool/output": "FIXED8_-5"}})
    assert analysis.unmatched == ["pool/output/moved"]
    assert "not in the float network: pool/output/moved" in to_text(analysis)
    pool = analysis.layer("pool/output")
    assert pool.kind == "QUANTIZE"
    assert pool.alone.power == pytest.approx(pool.storage.power, rel=0.2)
    assert pool.alone.power > analysis.layer("conv/output").alone.power


def test_first_large_loss(residual, analyzed):
    assert analyzed[0].first_loss is None
    assert "no layer's accumulated noise exceeds 10%" in to_text(analyzed[0])
    coarse, _ = converted(residual, settings={"buffers": {"unit_conv1/output": "FIXED8_-1"}})
    assert coarse.first_loss is not None
    assert coarse.first_loss.name == "unit_conv1/output"
    assert "first large loss: unit_conv1/output" in to_text(coarse)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: dataclasses.replace(t, name=f"other_{t.name}"), ["'image'", "another network"]),
        (lambda t: dataclasses.replace(t, shape=(1, 9)) if t.name == "a/output" else t, ["'a/output'", "(1, 9)", "(1, 4)"]),
    ],
)
def test_another_network_is_refused(change, words):
    reference = chain("FLOAT32", "FLOAT32")
    reference = dataclasses.replace(reference, tensors=tuple(map(change, reference.tensors)))
    with pytest.raises(ConversionError) as caught:
        analyze(chain("FIXED8_2", "FIXED8_4"), reference, [np.zeros((1, 4), np.float32)])
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("noise", "share", "sqnr_db", "text"),
    [
        (Noise(0.0, 0.0), 0, math.inf, "0%"),
        (Noise(0.0, 2.0), 0, math.inf, "0%"),
        (Noise(1.0, 0.0), math.inf, -math.inf, "all"),
        (Noise(1.0, 10.0), 0.1, 10, "10%"),
        (Noise(3.0, 1.0), 3, -10 * math.log10(3), "300%"),
        (Noise(1e-9, 1.0), 1e-9, 90, "<0.001%"),
    ],
)
def test_ratios(noise, share, sqnr_db, text):
    assert noise.share == share
    assert noise.sqnr_db == pytest.approx(sqnr_db)
    assert percent(noise) == text
    json.dumps(noise.to_dict(), allow_nan=False)


def test_bars_end_where_noise_equals_the_signal():
    analysis = analyze(chain("FIXED8_-6", "FIXED8_4"), chain("FLOAT32", "FLOAT32"), [np.full((1, 4), 1.0, np.float32)])
    lines = {line.split()[0]: line for line in to_text(analysis).splitlines() if "|" in line}
    assert lines["image"].count("#") == 0
    assert lines["a/output"].count("#") == 2 * 20  # 1 is rounded to 0: noise is all of the signal
    assert lines["b/output"].count("#") == 2 * 20  # its input, stored in such a format, is lost as well
    assert lines["b/output"].endswith("exact")


class TestCommands:
    @pytest.fixture
    def folder(self, residual, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        residual.save("net.keras")
        np.save("images.npy", images(20))
        return tmp_path

    def test_convert_and_inspect_tell_the_same(self, folder, capsys):
        arguments = ["kerasq-convert", "net.keras", "--representative_dataset=images.npy", "--analyze"]
        assert main([*arguments, "--json"]) == 0
        report = json.loads(capsys.readouterr().out)["analysis"]
        assert report["examples"] == 20
        assert {layer["name"]: layer["kind"] for layer in report["layers"]}["stem_relu/output"] == "CONV_2D"
        assert main(arguments) == 0
        text = capsys.readouterr().out
        assert "rule of thumb" in text
        arguments = ["kerasq-inspect", "net.kq", "--against=net.keras", "--representative_dataset=images.npy"]
        assert inspect([*arguments, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["analysis"] == report
        assert inspect(arguments) == 0
        shown = capsys.readouterr().out
        start = shown.index("noise against the float network, 20 examples")
        assert shown[start:].strip() in text

    @pytest.mark.parametrize(
        ("command", "arguments", "status", "words"),
        [
            (main, ["net.keras", "--analyze"], 2, "--analyze compares layers: give --representative_dataset"),
            (main, ["net.kq", "--analyze", "--emit_c=c"], 2, "--analyze"),
            (inspect, ["net.kq", "--against=net.keras"], 2, "go together"),
            (inspect, ["net.kq", "--representative_dataset=images.npy"], 2, "go together"),
            (inspect, ["net.kq", "--against=none.keras", "--representative_dataset=images.npy"], 1, "none.keras"),
            (inspect, ["net.kq", "--against=net.keras", "--representative_dataset=none.npy"], 1, "none.npy"),
        ],
    )
    def test_what_can_not_be_compared(self, folder, analyzed, capsys, command, arguments, status, words):
        kq.dump(analyzed[1], "net.kq")
        assert command(["kerasq", *arguments]) == status
        captured = capsys.readouterr()
        assert words in captured.err
        assert captured.out == ""


def test_formats_of_promotions_are_named(analyzed):
    """Every format of a layer can be read back."""
    assert all(str(QFormat.parse(layer.format)) == layer.format for layer in analyzed[0].layers)
