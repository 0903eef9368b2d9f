"""`tune`: kernels learned from examples, in whole conversions."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kerasq
import kerasq_convert
from kerasq import ops
from kerasq.format.model import Model
from kerasq.qformat import SIGN
from kerasq_convert import ConversionError, Converter
from kerasq_convert.comparison.outputs import signal_to_noise_db
from kerasq_convert.passes.scale_channels import PAIR, largest_pairs
from kerasq_convert.search import speed
from kerasq_convert.tuning import tune, walk
from kerasq_convert.tuning.layer import Learned

L = keras.layers
SHAPE = (10, 10, 3)


def images(count: int, seed: int) -> np.ndarray:
    """Smooth ones, as photographs are: neighbouring values go together."""
    rng = np.random.default_rng(seed)
    return np.repeat(np.repeat(rng.normal(size=(count, 5, 5, 3)), 2, axis=1), 2, axis=2).astype(np.float32)


X, FRESH = images(200, 1), images(100, 2)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """Every kind of operator with a kernel, an addition within one, a shared layer, and a binary one."""
    keras.utils.set_random_seed(5)
    x = inputs = keras.Input(SHAPE)
    x = y = L.Conv2D(8, 3, padding="same", activation="relu", name="first")(x)
    shared = L.Conv2D(8, 3, padding="same", activation="relu", name="shared")
    x = shared(shared(x))
    x = L.ReLU()(L.Add()([L.Conv2D(8, 1, name="before_sum")(x), y]))
    x = L.DepthwiseConv2D(3, strides=2, padding="same", activation="relu", name="depthwise")(x)
    x = L.Conv2D(8, 3, groups=2, use_bias=False, name="grouped")(x)
    x = L.Conv2DTranspose(6, 2, strides=2, activation="relu", name="transposed")(x)
    x = kerasq.layers.QuantizedConv2D(6, 1, kernel_quantizer="binary_weight", name="binary")(x)
    x = L.Dense(12, activation="relu", name="dense")(L.Flatten()(L.ZeroPadding2D(2)(x)))
    model = keras.Model(inputs, L.Dense(5, name="last")(x))
    rng = np.random.default_rng(3)
    model.set_weights([w + rng.normal(scale=0.05, size=w.shape) for w in model.get_weights()])
    return model


def converter(network: keras.Model, **options) -> Converter:
    made = Converter.from_keras_model(network)
    made.representative_dataset, made.weight_bits, made.end_weight_bits, made.tune = X, 4, 4, True
    for name, value in options.items():
        setattr(made, name, value)
    return made


@pytest.fixture(scope="module")
def tuned(network) -> Converter:
    made = converter(network)
    made.convert()
    return made


@pytest.fixture(scope="module")
def rounded(network) -> Converter:
    made = converter(network, tune=False)
    made.convert()
    return made


def model_of(made: Converter) -> Model:
    return made._last("model").model


def content_of(made: Converter) -> bytes:
    return made._last("model").content


def sqnr_db(network: keras.Model, made: Converter, inputs: np.ndarray = FRESH) -> float:
    outputs = kerasq.Interpreter(model_content=content_of(made)).predict(inputs)
    return signal_to_noise_db([outputs.astype(np.float64)], [network.predict(inputs, verbose=0).astype(np.float64)])


def kernels(model: Model) -> dict[str, np.ndarray]:
    constants = (ops.operand(model, operator, "kernel") for operator in model.operators)
    return {kernel.name: kernel.data for kernel in constants if kernel is not None}


def test_outputs_come_nearer_to_the_float_networks(network, tuned, rounded):
    assert sqnr_db(network, tuned) > sqnr_db(network, rounded) + 1
    assert tuned.report.outputs[0].sqnr_db >= rounded.report.outputs[0].sqnr_db


def test_formats_and_size_stay_and_only_free_kernels_change(tuned, rounded):
    before, after = model_of(rounded), model_of(tuned)
    assert [(tensor.name, tensor.format) for tensor in after.tensors] == [(t.name, t.format) for t in before.tensors]
    changed = {name for name, kernel in kernels(after).items() if not np.array_equal(kernel, kernels(before)[name])}
    assert {"first", "before_sum", "depthwise", "grouped", "dense", "last"} <= {name.split("/")[0] for name in changed}
    binary = next(tensor for tensor in before.tensors if tensor.format == SIGN)
    assert binary.name not in changed
    assert len(content_of(tuned)) <= len(content_of(rounded))  # what layers share is stored once


def test_operators_of_one_layer_go_on_sharing_its_kernel(tuned):
    shared = [kernel for name, kernel in kernels(model_of(tuned)).items() if name.startswith("shared")]
    assert len(shared) == 2
    np.testing.assert_array_equal(*shared)


def test_two_bits(network):
    plain, learned = (converter(network, tune=tune, weight_bits=2, end_weight_bits=8) for tune in (False, True))
    plain.convert()
    learned.convert()
    assert sqnr_db(network, learned) > sqnr_db(network, plain) + 1


def test_the_report_tells_what_layers_gained(tuned, rounded):
    layers = {layer.name: layer for layer in tuned.report.tuned}
    assert {name.split("/")[0] for name in layers} >= {"first", "depthwise", "grouped", "transposed", "dense", "last"}
    assert all(layer.tuned <= layer.rounded for name, layer in layers.items() if not name.startswith("shared"))
    assert all(0 <= layer.changed <= 1 for layer in layers.values())
    assert layers["dense/kernel"].changed > 0
    assert "learned from the examples" in tuned.report.to_text()
    assert tuned.report.to_dict()["tuned"][0]["name"] == "first/kernel"
    assert rounded.report.tuned == []
    assert "learned from the examples" not in rounded.report.to_text()


def test_the_same_examples_give_the_same_file(network, tuned):
    assert converter(network).convert() == content_of(tuned)


def test_without_multipliers_positions_are_learned_too(network):
    """Depthwise channels of very different sizes, which the next kernel makes good for: one format loses the small ones."""
    uneven = keras.models.clone_model(network)
    uneven.set_weights(network.get_weights())
    sizes = np.geomspace(1, 200, 8).astype(np.float32)
    kernel, bias = uneven.get_layer("depthwise").get_weights()
    uneven.get_layer("depthwise").set_weights([kernel * sizes[:, None], bias * sizes])
    (kernel,) = uneven.get_layer("grouped").get_weights()
    kernel = kernel.reshape(3, 3, 4, 2, 4) / sizes.reshape(2, 4).T[:, :, None]
    uneven.get_layer("grouped").set_weights([kernel.reshape(3, 3, 4, 8)])
    options = {"weight_bits": None, "end_weight_bits": None, "per_channel": False}
    plain, learned = converter(uneven, tune=False, **options), converter(uneven, **options)
    plain.convert()
    learned.convert()
    assert sqnr_db(uneven, learned) > sqnr_db(uneven, plain) + 3
    before = {row.name: row.format for row in plain.report.parameters}
    moved = [row for row in learned.report.parameters if row.reason == "error of the learned kernel"]
    assert "depthwise/kernel" in [row.name for row in moved]
    assert all(row.format != before[row.name] for row in moved)


def test_biases_stay_where_they_are_not_to_be_corrected(network, rounded):
    options = {"correct_bias": False}
    plain, learned = converter(network, tune=False, **options), converter(network, **options)
    plain.convert()
    learned.convert()
    biases = [
        [ops.operand(model, operator, "bias") for operator in model.operators] for model in (model_of(plain), model_of(learned))
    ]
    for before, after in zip(*biases, strict=True):
        assert (before is None) == (after is None)
        if before is not None:
            np.testing.assert_array_equal(before.data, after.data)
    assert sqnr_db(network, learned) > sqnr_db(network, plain)


def test_the_network_stays_where_the_held_examples_disagree(network, rounded, monkeypatch):
    def ruined(weighted, *_):
        return Learned(np.sign(weighted.integers), weighted.scale)

    monkeypatch.setattr(walk, "learn_layer", ruined)
    made = converter(network)
    assert made.convert() == content_of(rounded)
    assert made.report.tuned == []
    assert tune.KEPT in made.report.notes


def test_kernels_that_would_need_wider_accumulators_stay(network, monkeypatch):
    def largest(weighted, *_):
        return Learned(np.full(weighted.integers.shape, weighted.kernel.format.min_int), weighted.scale)

    monkeypatch.setattr(walk, "learn_layer", largest)
    settings = {"parameters": {"dense/kernel": "FIXED16"}}  # 600 products of up to 2^8 and 2^15: beyond 32 bits at most
    plain = converter(network, tune=False, weight_bits=None, end_weight_bits=None, per_channel=False, settings=settings)
    plain.fill_ranges = False
    plain.convert()
    before = model_of(plain)
    free = {name: tune.Freedom() for name in ("dense/kernel", "last/kernel")}
    walked = walk.Walk(kerasq_convert.float_model(network), [X[:4]], free, with_bias=True).run(before)
    assert [widths(operator) for operator in before.operators] == [widths(operator) for operator in walked.model.operators]
    assert {layer.name: layer.changed > 0 for layer in walked.layers} == {"dense/kernel": False, "last/kernel": True}


def widths(operator) -> tuple[int, int]:
    return operator.accumulator_bits, operator.total_bits


def test_narrow_kernels_stay_narrow(network, monkeypatch):
    monkeypatch.setattr(speed, "WITHIN_DB", np.inf)  # all of them become narrow
    monkeypatch.setattr(tune, "_noise", lambda wanted, model: np.zeros(2))  # the tuned network is taken
    options = {"weight_bits": None, "end_weight_bits": None, "per_channel": True, "prefer": "speed"}
    plain, learned = converter(network, tune=False, **options), converter(network, **options)
    plain.convert()
    learned.convert()
    before, after = (kernels(model_of(made))["dense/kernel"].astype(np.int64) for made in (plain, learned))
    assert np.any(before != after)
    assert largest_pairs(before, before.shape[1]).max() <= PAIR
    assert largest_pairs(after, after.shape[1]).max() <= PAIR


def test_few_examples_are_enough(network):
    made = converter(network, representative_dataset=X[:1])
    assert kerasq.Interpreter(model_content=made.convert()).predict(X[:2]).shape == (2, 5)


def test_examples_are_needed(network):
    with pytest.raises(ConversionError, match="tune compares layers: give representative_dataset"):
        kerasq.convert(network, tune=True)
