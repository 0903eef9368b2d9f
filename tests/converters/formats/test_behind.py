"""Formats of what only a table reads: by the error behind the table."""

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import L
from kerasq.format import loads
from kerasq.histogram import Histogram
from kerasq.qformat import fixed
from kerasq_convert.formats import ranges
from kerasq_convert.formats.behind import Behind, functions_behind
from kerasq_convert.frontend import read_model
from kerasq_convert.passes.simplify import simplify

FUNCTIONS = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "swish": lambda x: x / (1 + np.exp(-x)),
    "exp": np.exp,
    "square": np.square,
}


def histogram(values):
    result = Histogram()
    result.add(values)
    return result


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_error_behind_a_function_is_what_values_have(name, bits):
    values, function = np.random.default_rng(1).normal(-1, 3, 20_000), FUNCTIONS[name]
    behind = Behind(function, histogram(values))
    assert behind.power == pytest.approx(np.mean(function(values) ** 2), rel=0.05)
    errors = []
    for frac_bits in range(bits - 6, bits):
        format_ = fixed(bits, frac_bits)
        actual = np.mean((function(format_.dequantize(format_.quantize(values), np.float64)) - function(values)) ** 2)
        if name != "exp":  # which a few values make all of
            assert behind.squared_error(format_) == pytest.approx(actual, rel=0.15)
        errors.append((actual, format_))
    best = ranges.best_for_histogram(fixed(bits), histogram(values), behind=behind)
    assert min(errors)[1] == best


def test_what_is_flat_may_saturate_and_what_is_steep_may_not():
    seen = histogram(np.random.default_rng(1).normal(0, 4, 20_000))
    plain = ranges.best_for_histogram(fixed(8), seen)
    chosen = {name: ranges.best_for_histogram(fixed(8), seen, behind=Behind(FUNCTIONS[name], seen)) for name in FUNCTIONS}
    assert chosen["tanh"].max < chosen["sigmoid"].max < plain.max
    assert chosen["exp"].max >= plain.max


def test_a_function_without_values_does_not_decide():
    seen = histogram(np.random.default_rng(1).normal(0, 4, 20_000))
    assert ranges.best_for_histogram(fixed(8), seen, behind=Behind(np.log, seen)) == ranges.best_for_histogram(fixed(8), seen)


def network():
    keras.utils.set_random_seed(4)
    x = keras.Input((8, 8, 3), name="x")
    gate = L.Conv2D(4, 3, name="alone", kernel_initializer=keras.initializers.RandomNormal(0, 2))(x)
    both = L.Conv2D(4, 3, name="both", kernel_initializer=keras.initializers.RandomNormal(0, 2))(x)
    y = L.Add()([L.Activation("sigmoid")(gate), L.Activation("sigmoid")(both)])
    return keras.Model(x, [L.Conv2D(2, 3, name="scores")(y), L.Conv2D(2, 1, name="other")(both)])


def test_the_sole_reader_of_a_value_decides():
    model = network()
    graph = simplify(read_model(model))
    behind = {graph.names.buffer(value) for value in functions_behind(graph.graph)}
    assert "both/output" not in behind
    assert len(behind) == 1
    x = np.random.default_rng(1).normal(0, 1, (64, 8, 8, 3)).astype(np.float32)
    content = kerasq.convert(model, representative_dataset=x, fill_ranges=False)
    formats = {tensor.name: tensor.format for tensor in loads(content).activations()}
    assert formats[behind.pop()].max < 9 < formats["both/output"].max
    minmax = loads(kerasq.convert(model, representative_dataset=x, fill_ranges=False, criterion="minmax"))
    assert minmax.tensor("both/output").format.max > 9
