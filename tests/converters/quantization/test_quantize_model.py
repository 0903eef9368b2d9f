"""`quantize_model` and `strip`: what becomes of a model, which rules say it, and what is refused."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kerasq
from converters import layer_zoo, zoo
from converters.quantization.networks import pixels, residual
from kerasq import format as kq
from kerasq.quantizers import BinaryConnect, BinaryWeight, FixedPoint, LearnedScaledFixedPoint, Ternary

L = keras.layers


def quantizer_of(model, name):
    return getattr(model.get_layer(name), "kernel_quantizer", None)


def formats_of(model):
    """Formats by the layers that quantize."""
    found = {}
    for layer in model.layers:
        for slot in ("sum_quantizer", "output_quantizer"):
            if getattr(layer, slot, None) is not None:
                found[layer.name + ("" if slot == "output_quantizer" else ":sum")] = str(getattr(layer, slot).spec())
        if isinstance(layer, kerasq.FixedPointQuantize):
            found[layer.name] = str(layer.output_format)
    return found


@pytest.fixture(scope="module")
def model():
    return residual()


@pytest.fixture(scope="module")
def quantized(model):
    return kerasq.quantize_model(model, pixels(32)[0])


def test_layers_weights_and_outputs_stay(model, quantized):
    names = [layer.name for layer in quantized.layers if not isinstance(layer, kerasq.FixedPointQuantize)]
    assert names == [layer.name for layer in model.layers]
    assert quantized.name == model.name
    assert quantized.output_names == model.output_names
    for ours, theirs in zip(quantized.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_quantizers_stand_where_values_are_stored(quantized):
    assert list(formats_of(quantized)) == [
        "image_quantizer",
        "stem_relu_quantizer",
        "depthwise_bn_quantizer",
        "swish_quantizer",
        "sum_relu_quantizer",
        "curved:sum",
        "curved",
        "joined_quantizer",
        "average_quantizer",
        "hidden",
        "logits",
    ]


def test_formats_are_the_converters_own(model, quantized):
    """Those that it chooses for the float model, its values as they are, from the same examples."""
    loaded = kq.loads(kerasq.convert(model, representative_dataset=pixels(32)[0], per_channel=False, fill_ranges=False))
    chosen = formats_of(quantized)
    for name in ("image", "stem_relu", "depthwise_bn", "swish", "sum_relu", "joined", "average"):
        assert chosen[f"{name}_quantizer"] == str(loaded.tensor(name if name == "image" else f"{name}/output").format), name


def test_the_original_is_untouched():
    model = residual()
    before, weights = model.to_json(), model.get_weights()
    kerasq.strip(kerasq.quantize_model(model, pixels(16)[0], "ternary"))
    assert model.to_json() == before
    assert all(map(np.array_equal, model.get_weights(), weights))


def test_strip_gives_the_float_model_back(model, quantized):
    stripped = kerasq.strip(quantized)
    assert [type(layer) for layer in stripped.layers] == [type(layer) for layer in model.layers]
    assert [layer.get_config() for layer in stripped.layers] == [layer.get_config() for layer in model.layers]
    x = pixels(8)[0]
    np.testing.assert_array_equal(stripped.predict_on_batch(x), model.predict_on_batch(x))


def test_strip_of_layers_that_were_made_by_hand():
    stripped = kerasq.strip(zoo.residual(kerasq.BinaryWeightConv2D))
    assert type(stripped.get_layer("stem")) is L.Conv2D


def test_saves_and_loads(quantized, tmp_path):
    quantized.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = pixels(8)[0]
    np.testing.assert_array_equal(loaded.predict_on_batch(x), quantized.predict_on_batch(x))
    assert formats_of(loaded) == formats_of(quantized)


def test_a_sequential_model_stays_one():
    model = keras.Sequential(
        [keras.Input((9, 10, 3), name="image"), L.Conv2D(4, 3, name="conv"), L.BatchNormalization(name="bn"), L.ReLU(name="relu")]
    )
    x = np.random.default_rng(0).normal(size=(16, 9, 10, 3)).astype(np.float32)
    quantized = kerasq.quantize_model(model, x)
    assert isinstance(quantized, keras.Sequential)
    assert [layer.name for layer in quantized.layers] == ["image_quantizer", "conv", "bn", "relu", "relu_quantizer"]


def test_several_inputs_and_outputs():
    model = layer_zoo.make("two_inputs_two_outputs")
    pictures, sensors = layer_zoo.examples(model, 16, 0)
    for dataset in ([pictures, sensors], {"picture": pictures, "sensors": sensors}):
        quantized = kerasq.quantize_model(model, dataset)
        assert quantized.output_names == ["angle", "kind"]
        assert {"picture_quantizer", "sensors_quantizer", "angle", "kind:sum"} <= set(formats_of(quantized))


def test_named_recipes(model):
    expected = {"fixed8": FixedPoint, "fixed4": LearnedScaledFixedPoint, "ternary": Ternary, "binary_weight": BinaryWeight}
    for recipe, kind in expected.items() | {"binary_connect": BinaryConnect}.items():
        quantized = kerasq.quantize_model(model, pixels(16)[0], recipe)
        for name in ("pointwise", "curved", "hidden"):
            assert isinstance(quantizer_of(quantized, name), kind), (recipe, name)
        for name in ("stem", "depthwise", "logits"):  # first, depthwise, last
            assert quantizer_of(quantized, name).bits == 8, (recipe, name)


def test_rules(model):
    mine = FixedPoint(6, 5)
    rules = {"*": "ternary", L.Dense: mine, "first": None, "c*d": BinaryWeight, "hidden": "fixed4", "last": "binary_connect"}
    quantized = kerasq.quantize_model(model, pixels(16)[0], rules)
    kinds = {name: type(quantizer_of(quantized, name)).__name__ for name in ("stem", "depthwise", "curved", "hidden", "logits")}
    assert kinds == {
        "stem": "NoneType",
        "depthwise": "Ternary",
        "curved": "BinaryWeight",
        "hidden": "LearnedScaledFixedPoint",
        "logits": "BinaryConnect",
    }
    assert type(quantized.get_layer("stem")) is L.Conv2D


def test_bits_of_activations(model):
    x = pixels(32)[0]
    assert formats_of(kerasq.quantize_model(model, x, activations=None)) == {}
    eight, sixteen, four = (formats_of(kerasq.quantize_model(model, x, activations=bits)) for bits in (8, 16, 4))
    assert all(text.startswith(("FIXED16", "UFIXED16")) for text in sixteen.values())
    assert eight["stem_relu_quantizer"].split("_")[0] == "UFIXED8"
    coarser = int(eight["stem_relu_quantizer"].split("_")[1]) - 4
    assert four["stem_relu_quantizer"].endswith(f"_{coarser}")


def test_settings_go_first(model):
    settings = {"buffers": {"stem_relu/output": "FIXED16_10", "average/output": "FLOAT32"}}
    formats = formats_of(kerasq.quantize_model(model, pixels(16)[0], settings=settings))
    assert formats["stem_relu_quantizer"] == "FIXED16_10"
    assert "average_quantizer" not in formats


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recipe": "fixed9"}, "did you mean 'fixed8'"),
        ({"recipe": {"curvd": "ternary"}}, "'curvd'; did you mean 'curved'"),
        ({"recipe": {L.Conv1D: "ternary"}}, "class Conv1D"),
        ({"recipe": {"curved": "quaternary"}}, "must be a quantizer"),
        ({"recipe": {3: "ternary"}}, "no rule"),
        ({"settings": {"buffers": {"stem_rel/output": "FIXED8_4"}}}, "did you mean 'stem_relu/output'"),
        ({"activations": 1}, "activations"),
        ({"criterion": "mae"}, "criterion"),
    ],
)
def test_refusals(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        kerasq.quantize_model(model, pixels(16)[0], **arguments)


def test_models_that_are_refused():
    with pytest.raises(kerasq.ConversionError, match="subclassed model"):
        kerasq.quantize_model(Subclassed(name="mine"), np.zeros((4, 3), np.float32))
    with pytest.raises(kerasq.ConversionError, match="not built"):
        kerasq.quantize_model(keras.Sequential([L.Dense(3)]), np.zeros((4, 3), np.float32))
    with pytest.raises(kerasq.ConversionError, match=r"keras\.Model was expected"):
        kerasq.strip(3)
    recurrent = keras.Sequential([keras.Input((4, 3)), L.LSTM(2, name="memory")])
    with pytest.raises(kerasq.ConversionError, match=r"'memory'.*no quantized form"):
        kerasq.quantize_model(recurrent, np.zeros((4, 4, 3), np.float32))
