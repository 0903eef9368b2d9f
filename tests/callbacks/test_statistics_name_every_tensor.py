"""With what a training observed no tensor of the converted network stays FLOAT32, whatever the layers, names and policies."""

from __future__ import annotations

import contextlib

import keras
import numpy as np
import pytest
from keras import ops

import kerasq
from converters import zoo
from kerasq.callbacks.probe import Probe
from kerasq_convert.errors import ConversionError

L = keras.layers
RNG = np.random.default_rng(3)
IMAGES = RNG.normal(size=(16, 8, 8, 3)).astype(np.float32)
VECTORS = RNG.normal(size=(16, 4)).astype(np.float32)
ACTIVATIONS = ("linear", "relu", "relu6", "swish", "softmax", "hard_sigmoid", "tanh", "sigmoid", "gelu", "leaky_relu")
WEIGHTED = {
    "convolution": lambda **options: L.Conv2D(3, 3, padding="same", **options),
    "groups": lambda **options: L.Conv2D(3, 3, padding="same", groups=3, use_bias=False, **options),
    "separable": lambda **options: L.SeparableConv2D(3, 3, padding="same", **options),
    "transposed": lambda **options: L.Conv2DTranspose(3, 3, padding="same", **options),
    "dense": lambda **options: L.Dense(3, **options),
    "binary": lambda **options: kerasq.BinaryWeightConv2D(3, 3, padding="same", **options),
}


@contextlib.contextmanager
def policy(name):
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


def functional(body):
    image = keras.Input((8, 8, 3), name="image")
    return keras.Model(image, body(image), name="net")


def sequential(*layers, name="image"):
    return keras.Sequential([keras.Input((8, 8, 3), name=name), *layers])


def in_float(model, data=IMAGES, statistics=None):
    """The buffers of the converted network that are FLOAT32."""
    converter = kerasq.Converter(model)
    converter.statistics = statistics or Probe(zoo.randomized(model)).collect([data])
    converter.allow_float = True  # so that all of them can be told
    details = kerasq.Interpreter(model_content=converter.convert()).get_tensor_details()
    return [tensor["name"] for tensor in details if tensor["format"].is_float]


def operations(x):
    x = ops.relu(L.Conv2D(4, 3)(x))
    x = ops.silu(x) + ops.relu(x - 1) * 2
    x = ops.tanh(ops.gelu(x))
    return L.Flatten()(ops.concatenate([ops.mean(x, axis=(1, 2)), ops.max(x, axis=(1, 2))], -1))


def nesting(x):
    shared = L.Conv2D(3, 3, padding="same", activation="tanh", name="shared")
    block = keras.Sequential([L.Conv2D(3, 1, activation="swish", name="shared"), L.Activation("sigmoid")], name="block")
    x = block(block(shared(shared(x))))
    inside = keras.Input((8, 8, 3))
    return keras.Model(inside, block(ops.relu(inside)) + shared(inside), name="outer")(x)


class Gated(L.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.convolution, self.gate = L.Conv2D(4, 3, padding="same"), L.Dense(4)

    def call(self, x):
        return ops.tanh(self.convolution(x)) * self.gate(x)


def pooled_twice(x):
    pooled = L.GlobalAveragePooling2D()(x)
    return L.Concatenate()([pooled, pooled])


def moved():
    layers = [L.Conv2D(4, 3), L.PReLU("uniform", shared_axes=[1, 2]), L.UpSampling2D(2), L.ZeroPadding2D(1), L.MaxPooling2D(2)]
    layers += [
        L.BatchNormalization(),
        L.Cropping2D(1),
        L.Permute((2, 1, 3)),
        L.Reshape((-1, 4)),
        L.Conv1D(4, 3, activation="tanh"),
    ]
    return sequential(*layers, L.GlobalMaxPooling1D(), L.RepeatVector(3), L.Flatten(), L.Dense(4), L.LeakyReLU())


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = L.Conv2D(4, 3, activation="swish")
        self.block = keras.Sequential([L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU()])
        self.last = L.Dense(3, activation="softmax")

    def call(self, x):
        x = self.block(self.first(x))
        return self.last(ops.mean(ops.relu(x) + ops.tanh(x), axis=(1, 2)))


def subclassed():
    model = Subclassed()
    model(IMAGES[:1])
    return model


NETWORKS = {
    "unnamed input": lambda: sequential(L.Conv2D(4, 3), L.ReLU(), name=None),
    "operations": lambda: functional(operations),
    "operations alone": lambda: functional(ops.gelu),
    "nesting and sharing": lambda: functional(nesting),
    "a layer of one's own": lambda: functional(Gated()),
    "Sequential without an input in a Functional model": lambda: functional(
        keras.Sequential([L.Conv2D(4, 3, activation="tanh"), L.Flatten(), L.Dropout(0.5), L.Dense(5, activation="gelu")])
    ),
    "pooling before a concatenation": lambda: functional(pooled_twice),
    "pooling before a normalization": lambda: sequential(
        L.Conv2D(4, 3),
        L.MaxPooling2D(2),
        L.BatchNormalization(),
        L.ReLU(),
        L.Conv2D(4, 2),
        L.AveragePooling2D(2),
        L.BatchNormalization(),
    ),
    "transposed convolutions": lambda: sequential(
        L.Conv2DTranspose(4, 3, strides=2, activation="tanh"), L.Conv2DTranspose(2, 2, strides=(1, 2), activation="hard_sigmoid")
    ),
    "moves": moved,
    "activations that are layers or lambdas": lambda: sequential(
        L.Conv2D(4, 3, activation=L.LeakyReLU()), L.Conv2D(4, 3, activation=lambda x: ops.tanh(x) * 2)
    ),
    "subclassed": subclassed,
}


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", WEIGHTED)
def test_activations_inside_layers(kind, dtype):
    with policy(dtype):
        activations = ACTIVATIONS if dtype == "float32" else ACTIVATIONS[3:6]
        model = sequential(*(WEIGHTED[kind](activation=activation) for activation in activations))
    assert in_float(model) == []


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name):
    assert in_float(NETWORKS[name]()) == []


def test_a_network_in_mixed_precision():
    with policy("mixed_float16"):
        layers = [
            L.Rescaling(1 / 127.5, -1),
            L.Conv2D(4, 3),
            L.BatchNormalization(),
            L.ReLU(),
            L.Conv2D(4, 3, activation="swish"),
        ]
        model = sequential(*layers, L.GlobalAveragePooling2D(), L.Dense(3, activation="softmax", dtype="float32"), name=None)
    assert in_float(model) == []


def two_inputs(names, structure):
    a, b = keras.Input((8, 8, 3), name=names[0]), keras.Input((4,), name=names[1])
    x = L.Multiply()([L.Conv2D(4, 3)(a), L.Dense(4, activation="sigmoid")(b)])
    x = L.Subtract()([L.GlobalAveragePooling2D()(x), b])
    return keras.Model(structure(a, b), x)


@pytest.mark.parametrize("names", [(None, None), ("zebra", "ape")])
def test_several_inputs(names):
    model = two_inputs(names, lambda a, b: [a, b])
    statistics = Probe(model).collect([[1000 * IMAGES, VECTORS]])
    assert in_float(model, statistics=statistics) == []
    converter = kerasq.Converter(model)
    converter.statistics = statistics
    details = kerasq.Interpreter(model_content=converter.convert()).get_input_details()
    ranges = {tuple(tensor["shape"][1:]): tensor["format"].max for tensor in details}
    assert ranges[(8, 8, 3)] > 1000 > 10 > ranges[(4,)]  # each has its own


def test_a_dict_of_inputs():
    model = two_inputs(("zebra", "ape"), lambda a, b: {"zebra": a, "ape": b})
    assert in_float(model, {"zebra": IMAGES, "ape": VECTORS}) == []


def test_what_is_observed_is_what_is_stored():
    """Ranges by statistics are those that the float network shows, on either side of an activation inside a layer."""
    model = zoo.randomized(functional(lambda x: operations(L.Conv2D(4, 3, activation="swish", name="conv")(x))))
    by_examples, by_statistics = kerasq.Converter(model), kerasq.Converter(model)
    by_examples.representative_dataset, by_statistics.statistics = IMAGES, Probe(model).collect([IMAGES[:9], IMAGES[9:]])
    for converter in (by_examples, by_statistics):
        converter.convert()
    expected, observed = ({row.name: row for row in converter.report.buffers} for converter in (by_examples, by_statistics))
    assert list(observed) == list(expected)
    for name, row in observed.items():
        assert (row.low, row.high) == pytest.approx((expected[name].low, expected[name].high), rel=1e-3, abs=1e-4), name


def test_the_file_of_a_training_and_the_folder_of_its_export(tmp_path):
    keras.backend.clear_session()
    model = sequential(
        L.Conv2D(4, 3, activation="sigmoid"), L.Conv2D(4, 3, activation="swish"), L.Flatten(), L.Dense(2), name=None
    )
    model.compile("sgd", "mse")
    callback = kerasq.callbacks.ActivationStatistics(tmp_path / "statistics", IMAGES)
    model.fit(IMAGES, np.zeros((16, 2)), verbose=0, callbacks=[callback])
    model.export(tmp_path / "folder", verbose=False)
    model.save(tmp_path / "model.keras")
    for source in ("folder", "model.keras"):
        assert in_float(tmp_path / source, statistics=tmp_path / "statistics") == []


def test_statistics_of_layers_from_outside():
    """As other backends than TensorFlow give them, and version 0.1.0 did: what is left follows from its neighbours."""
    model = sequential(
        L.Conv2D(4, 3, activation="swish", name="a"), L.UpSampling2D(2), L.Flatten(), L.Dense(3, activation="softmax")
    )
    statistics = Probe(model).collect([IMAGES])
    statistics.places = {}
    assert in_float(model, statistics=statistics) == []


def test_what_is_not_observed_is_an_error_that_names_all_of_it():
    model = sequential(L.Conv2D(4, 3, name="a"), L.Conv2D(4, 3, name="b"), L.MaxPooling2D(2, name="c"), L.Conv2D(2, 2, name="d"))
    statistics = Probe(model).collect([IMAGES])
    for name in ("b/output", "c/output"):
        del statistics[name]
    converter = kerasq.Converter(model)
    converter.statistics = statistics
    with pytest.raises(ConversionError, match=r"b/output, c/output: no range is known.*allow_float"):
        converter.convert()
    converter.settings = {"buffers": {"b/output": "FLOAT32", "c/output": "FLOAT32"}}  # asked for: no want of a range
    converter.convert()
    converter.settings, converter.allow_float = None, True
    converter.convert()
    assert "b/output, c/output" in converter.report.notes[-1]


def test_statistics_of_another_network_are_refused():
    statistics = Probe(sequential(L.Conv2D(4, 3, name="a"))).collect([IMAGES])
    converter = kerasq.Converter(sequential(L.Conv2D(4, 3, name="other"), name="other_image"))
    converter.statistics = statistics
    with pytest.raises(ConversionError, match="other/output"):
        converter.convert()
