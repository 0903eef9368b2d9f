"""What people do with maps beside convolutions: extremes, broadcasting, means over any axes, resizing, mirrored edges, cuts.

Each stands in a random network, alone and with others, which must be what Keras computes in float, nearly so in 8 bits, and the
same bits with every engine and every tier of kernels.
"""

import keras
import numpy as np
import pytest

import kerasq
from converters.same_results import network
from converters.zoo import L, signal_to_noise_db
from kerasq import format as kq
from kerasq.format import OperatorKind
from kerasq_convert import float_model

o = keras.ops
SHAPE = (8, 6, 8)
TIERS = (*kerasq.runtime.tiers(), kerasq.runtime.DSP) if kerasq.runtime.available() else ()
LIMITS = np.linspace(-1, 1, 8, dtype=np.float32)


def conv(filters=8, size=3, **options):
    return L.Conv2D(filters, size, padding="same", **options)


def mean(x, *axes):
    return o.mean(x, axis=axes, keepdims=True)


def backwards(x):
    return o.stack(o.unstack(x, axis=1)[::-1], axis=1)


def spatial_attention(x):
    features = o.concatenate([mean(x, 3), o.max(x, axis=3, keepdims=True)], axis=-1)
    return x * conv(1, activation="sigmoid")(features)


# Of maps of any even size with 8 channels.
OPERATORS = {
    "maximum": lambda x: L.Maximum()([conv()(x), x]),
    "maximum_of_three": lambda x: L.Maximum()([conv()(x), x, conv()(x)]),
    "minimum": lambda x: L.Minimum()([conv()(x), conv(activation="relu")(x)]),
    "minimum_of_four": lambda x: L.Minimum()([x, *(conv()(x) for _ in range(3))]),
    "max_feature_map": lambda x: o.maximum(*o.split(conv(16)(x), 2, axis=-1)),
    "maximum_with_a_value_for_each_channel": lambda x: o.maximum(x, mean(x, 1, 2)),
    "limits_for_each_channel": lambda x: o.minimum(o.maximum(x, LIMITS - 1), LIMITS + 1),
    "limits_for_each_row": lambda x: o.maximum(x, np.linspace(-1, 0, x.shape[1], dtype=np.float32)[:, None, None]),
    "add_one_channel": lambda x: L.Add()([x, conv(1)(x)]),
    "add_for_each_channel": lambda x: L.Add()([x, conv(8, 1)(mean(x, 1, 2))]),
    "add_rows_to_columns": lambda x: conv(8, 1)(mean(x, 1)) + conv(8, 1)(mean(x, 2)),
    "subtract_one_channel": lambda x: L.Subtract()([x, conv(1)(x)]),
    "subtract_from_one_channel": lambda x: L.Subtract()([conv(1)(x), x]),
    "subtract_the_mean": lambda x: x - mean(x, 1, 2),
    "multiply_one_channel": lambda x: L.Multiply()([x, conv(1, activation="sigmoid")(x)]),
    "multiply_for_each_row": lambda x: x * o.sigmoid(mean(x, 2)),
    "multiply_by_one": lambda x: x * o.sigmoid(mean(x, 1, 2, 3)),
    "spatial_attention": spatial_attention,
    "from_one_channel_by_constants": lambda x: conv(1)(x) * LIMITS,
    "sum_of_channels": lambda x: o.concatenate([x, o.sum(x, axis=3, keepdims=True)], axis=-1),
    "sum_of_rows": lambda x: x + o.sum(x, axis=(1, 2), keepdims=True),
    "least_of_rows": lambda x: x - o.min(x, axis=1, keepdims=True),
    "largest_of_rows_and_channels": lambda x: x + o.max(x, axis=(1, 3), keepdims=True),
    "bilinear": lambda x: L.UpSampling2D(2, interpolation="bilinear")(x),
    "bilinear_unequal": lambda x: L.Resizing(3 * x.shape[1], 4 * x.shape[2])(x),
    "bilinear_smaller": lambda x: L.UpSampling2D(2)(L.Resizing(x.shape[1] // 2, x.shape[2])(x)),
    "nearest": lambda x: L.Resizing(x.shape[1] * 2, x.shape[2] * 3, interpolation="nearest")(x),
    "nearest_uneven": lambda x: L.Resizing(x.shape[1] + 2, x.shape[2] // 2, interpolation="nearest")(x),
    "depth_to_space": lambda x: conv(8, 1)(o.depth_to_space(x, 2)),
    "space_to_depth": lambda x: conv(8, 1)(o.space_to_depth(x, 2)),
    "reflected": lambda x: o.pad(x, ((0, 0), (1, 1), (0, 2), (0, 0)), mode="reflect"),
    "mirrored": lambda x: o.pad(x, ((0, 0), (0, 2), (1, 1), (0, 0)), mode="symmetric"),
    "softmax_of_rows": lambda x: conv(8, 1)(L.Softmax(axis=1)(x)),
    "every_other": lambda x: L.UpSampling2D(2)(x[:, 1::2, ::2]),
    "steps_of_channels": lambda x: conv(8, 1)(x[..., ::3]),
    "backwards": backwards,
    "tiled": lambda x: o.tile(x, (1, 2, 1, 1)) - o.tile(conv(8)(x), (1, 2, 1, 1)),
}


def stacked(*names):
    """A random network with these operators, one after the other."""

    def build(x):
        for name in names:
            x = OPERATORS[name](conv()(x))
        return [conv(4)(x)]

    return network(build, SHAPE)


def beside(*names):
    """A random network with a branch for each of these operators."""

    def build(x):
        x = conv(activation="relu6")(x)
        return [conv(4)(OPERATORS[name](conv()(x))) for name in names]

    return network(build, SHAPE)


def examples(model, count=24):
    return np.random.default_rng(0).normal(size=(count, *model.input_shape[1:])).astype(np.float32)


def outputs(result):
    return result if isinstance(result, list) else [result]


def assert_computes_what_keras_computes(model, names, decibels=25):
    x = examples(model)
    expected = outputs(model.predict(x, verbose=0))
    observed = outputs(kerasq.Interpreter(model_content=float_model(model), engine="reference").predict(x))
    content = kerasq.convert(model, representative_dataset=x)
    reference = outputs(kerasq.Interpreter(model_content=content, engine="reference").predict(x))
    for name, keras_computes, in_float, found in zip(names, expected, observed, reference, strict=True):
        np.testing.assert_allclose(in_float, keras_computes, rtol=1e-4, atol=2e-5 * np.abs(keras_computes).max(), err_msg=name)
        assert signal_to_noise_db(keras_computes, found) > decibels, name
    for tier in TIERS:
        same = outputs(kerasq.Interpreter(model_content=content, isa=tier).predict(x))
        for name, one, other in zip(names, same, reference, strict=True):
            np.testing.assert_array_equal(one, other, f"{name}, {tier}")


@pytest.mark.parametrize("names", [tuple(OPERATORS)[first::9] for first in range(9)], ids=lambda names: names[0])
def test_in_a_random_network(names):
    assert_computes_what_keras_computes(beside(*names), names)


@pytest.mark.parametrize("seed", range(5))
def test_with_others_in_a_random_network(seed):
    names = np.random.default_rng(seed).choice(sorted(OPERATORS), 3, replace=False)
    assert_computes_what_keras_computes(stacked(*names), ["-".join(names)])


@pytest.mark.parametrize("shape", [(5,), (6, 4), (4, 6, 3)])
def test_reductions_over_all_sets_of_axes(shape):
    """As outputs of one network: nothing is done before or after them that could hide a mistake."""
    x = keras.Input(shape, name="x")
    sets = [[axis for axis in range(1, len(shape) + 1) if number >> (axis - 1) & 1] for number in range(1, 2 ** len(shape))]
    model = keras.Model(x, [function(x, axis=axes) for axes in sets for function in (o.mean, o.sum, o.max, o.min)])
    data = examples(model)
    content = kerasq.convert(model, representative_dataset=data)
    for expected, found in zip(
        model.predict(data, verbose=0), kerasq.Interpreter(model_content=content).predict(data), strict=True
    ):
        assert signal_to_noise_db(expected, np.reshape(found, expected.shape)) > 25


def file(function, shape=SHAPE, count=1):
    inputs = [keras.Input(shape, name=name) for name in "ab"[:count]]
    model = keras.Model(inputs, function(*inputs))
    data = [np.random.default_rng(1).normal(size=(16, *shape)).astype(np.float32) for _ in inputs]
    return kq.loads(kerasq.convert(model, representative_dataset=[data]))


def test_the_larger_of_two_values_is_rounded_once():
    """What is stored is the larger of the stored values, in their one format."""
    model = file(lambda a, b: L.Maximum()([a, b]), count=2)
    interpreter = kerasq.Interpreter(model_content=kq.dumps(model))
    rng = np.random.default_rng(2)
    a, b = (rng.integers(-128, 128, SHAPE).astype(np.int8) for _ in range(2))
    formats = {str(tensor.format) for tensor in model.activations()}
    assert len(formats) == 1
    interpreter.allocate_tensors()
    for details, values in zip(interpreter.get_input_details(), (a, b), strict=True):
        interpreter.set_tensor(details["index"], values[None])
    interpreter.invoke()
    np.testing.assert_array_equal(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0], np.maximum(a, b))


def test_operators_are_few():
    """One for what one computes: a broadcast sum is a convolution with an addend, a block's pixels are one TRANSPOSE."""
    kinds = {
        "add": file(lambda a: L.Add()([a, L.Conv2D(1, 3, padding="same")(a)])),
        "shuffle": file(lambda a: o.depth_to_space(a, 2)),
        "half": file(lambda a: L.Resizing(4, 3)(a)),
        "mean": file(lambda a: o.mean(a, axis=3)),
        "maximum": file(lambda a: L.Maximum()([a, conv()(a), conv()(a), conv()(a), conv()(a)])),
    }
    found = {name: [op.kind for op in model.operators if op.kind != OperatorKind.RESHAPE] for name, model in kinds.items()}
    assert not {OperatorKind.ADD, OperatorKind.CONCAT} & set(found["add"])
    assert found["shuffle"] == [OperatorKind.TRANSPOSE]
    assert found["half"] == [OperatorKind.AVERAGE_POOL_2D]
    assert found["mean"] == [OperatorKind.AVERAGE_POOL_2D]
    assert found["maximum"] == [OperatorKind.CONV_2D] * 4 + [OperatorKind.CONCAT, OperatorKind.MAX_POOL_2D]
