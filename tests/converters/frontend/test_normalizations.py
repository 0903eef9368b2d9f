"""Normalization by an example's own statistics: Keras' layers over all axes, the same written out, and networks of them."""

import keras
import numpy as np
import pytest

import kerasq
from converters.normalized import LAYERS, SEQUENCE, around, centered, chain, written
from converters.zoo import FLOAT, L, randomized, signal_to_noise_db
from kerasq import format as kq
from kerasq_convert import ConversionError

o = keras.ops


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    shape, make, operators = LAYERS[name]
    model = around(shape, make())
    x = np.random.default_rng(6).normal(0.3, 1, (64, *shape)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    in_float = kerasq.Interpreter(model_content=kerasq.convert(model, settings=FLOAT)).predict(x)
    np.testing.assert_allclose(in_float, expected, atol=2e-5 * np.abs(expected).max())
    content = kerasq.convert(model, representative_dataset=x[:32])
    assert signal_to_noise_db(expected, assert_equal_in_every_engine(content, x)) > 28
    kinds = [operator.kind for operator in kq.loads(content).operators]
    assert kinds.count("NORMALIZE") == 1
    if operators is not None:
        assert len([kind for kind in kinds if kind != "RESHAPE"]) == 2 + operators, (
            kinds
        )  # scale and offset are the next kernel's


def assert_equal_in_every_engine(content, x):
    """The outputs, equal to the bit in the reference engine and every tier."""
    engines = [kerasq.Interpreter(model_content=content, engine="reference")]
    if kerasq.runtime.available():
        tiers = (*kerasq.runtime.tiers(), kerasq.runtime.DSP)
        engines += [kerasq.Interpreter(model_content=content, engine="native", isa=tier) for tier in tiers]
    first, *others = (engine.predict(x, raw=True) for engine in engines)
    assert all(np.array_equal(first, other) for other in others)
    return engines[0].predict(x)


def convnext(x):
    h = L.DepthwiseConv2D(7, padding="same")(x)
    h = L.LayerNormalization(epsilon=1e-6)(h)
    h = L.Dense(4 * x.shape[-1], activation="gelu")(h)
    return L.Add()([x, L.Dense(x.shape[-1])(h)])


def residual(x):
    h = L.ReLU()(L.GroupNormalization(4)(L.Conv2D(x.shape[-1], 3, padding="same", use_bias=False)(x)))
    h = L.GroupNormalization(4)(L.Conv2D(x.shape[-1], 3, padding="same", use_bias=False)(h))
    return L.ReLU()(L.Add()([x, h]))


def styled(x):
    h = L.ReLU()(L.GroupNormalization(-1)(L.Conv2D(x.shape[-1], 3, padding="same")(x)))
    return L.Add()([x, L.GroupNormalization(-1)(L.Conv2D(x.shape[-1], 3, padding="same")(h))])


def perceptron(x):
    return L.Add()([x, L.Dense(x.shape[-1])(L.Dense(2 * x.shape[-1], activation="silu")(L.RMSNormalization()(x)))])


def network(block, shape, stem):
    keras.utils.set_random_seed(7)
    x = keras.Input(shape, name="x")
    y = block(block(stem(x)))
    pooled = L.GlobalAveragePooling2D()(y) if len(shape) == 3 else L.GlobalAveragePooling1D()(y)
    return randomized(keras.Model(x, [L.Dense(10, name="classes")(pooled), y]))


@pytest.mark.parametrize(
    ("block", "shape", "stem"),
    [
        (convnext, (16, 16, 3), lambda x: L.LayerNormalization()(L.Conv2D(16, 2, strides=2)(x))),
        (residual, (12, 12, 3), lambda x: L.Conv2D(16, 3)(x)),
        (styled, (12, 12, 3), lambda x: L.ReLU()(L.Conv2D(8, 3)(x))),
        (perceptron, (9, 12), lambda x: L.Dense(16)(x)),
    ],
    ids=["ConvNeXt", "groups", "instances", "RMS"],
)
def test_networks_at_8_bits(block, shape, stem):
    model = network(block, shape, stem)
    x = np.random.default_rng(8).normal(size=(64, *shape)).astype(np.float32)
    content = kerasq.convert(model, representative_dataset=x[:48])
    found = kerasq.Interpreter(model_content=content).predict(x[48:])
    noise = [signal_to_noise_db(a, b) for a, b in zip(model.predict(x[48:], verbose=0), found, strict=True)]
    print(f"{block.__name__}: {', '.join(f'{db:.1f} dB' for db in noise)}")
    assert min(noise) > 25


def test_a_quotient_by_another_root_is_no_normalization_and_converts():
    model = chain(SEQUENCE, written(lambda x: x / o.sqrt(o.mean(o.abs(x), axis=-1, keepdims=True))), L.Dense(3))
    x = np.random.default_rng(9).normal(size=(64, *SEQUENCE)).astype(np.float32)
    content = kerasq.convert(model, representative_dataset=x[:48])
    assert "NORMALIZE" not in [operator.kind for operator in kq.loads(content).operators]
    assert signal_to_noise_db(model.predict(x, verbose=0), assert_equal_in_every_engine(content, x)) > 25


def test_what_is_no_normalization_is_refused_with_a_remedy():
    for function in (
        lambda x: (x - 1) * o.rsqrt(o.var(x, axis=-1, keepdims=True) + 1e-3),
        lambda x: x * o.rsqrt(o.var(x, axis=-1, keepdims=True) + 1e-3),
        lambda x: centered(x) * o.rsqrt(o.var(x, axis=1, keepdims=True) + 1e-3),
        lambda x: x + o.rsqrt(o.mean(x * x, axis=-1, keepdims=True)),
        lambda x: x * o.minimum(o.rsqrt(o.sum(x * x, axis=-1, keepdims=True)), 2.0),
    ):
        with pytest.raises(ConversionError, match=r"not supported.*: "):
            kerasq.convert(chain(SEQUENCE, written(function), L.Dense(3)))


def test_too_many_values():
    with pytest.raises(ConversionError, match=r"'it' \(LayerNormalization\): .*1,048,576 values"):
        kerasq.convert(chain((1025, 1024), L.LayerNormalization(axis=(1, 2), name="it")))
