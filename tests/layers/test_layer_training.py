"""Training: every latent weight moves by the documented gradient; random signs; mixed precision."""

import inspect

import keras
import numpy as np
import pytest

from kerasq import layers
from kerasq.quantizers import BinaryConnect, LearnedFixedPoint, LearnedScaledFixedPoint, ScaledFixedPoint
from layers.kinds import CASES, CLASSES, KINDS, TENSORFLOW, batch, built, latents, quantized_weights, to_numpy, trained
from quantizers.gradients import layer_gradients

OF_LEAST_ERROR = (LearnedFixedPoint, LearnedScaledFixedPoint)  # their range may leave out a few weights, which get no gradient
FOLLOW_THE_WEIGHTS = (*OF_LEAST_ERROR, ScaledFixedPoint)  # none need lie outside of their range
needs_tensorflow = pytest.mark.skipif(not TENSORFLOW, reason="uses tf.function")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_step_moves_every_latent_weight(case):
    model, before = trained()
    layer = model.get_layer(case.name)
    states = [getattr(layer, part.quantizer) for part in layer.kernel_parts if getattr(layer, part.state) is not None]
    assert len(layer.trainable_variables) == len(latents(layer)) + sum(quantizer.trains_state for quantizer in states)
    for variable in layer.trainable_variables:
        moved = to_numpy(variable) != before[variable.path]
        assert moved.all() or (moved.mean() > 0.9 and isinstance(layer.kernel_quantizer, OF_LEAST_ERROR))
        assert np.all(np.isfinite(to_numpy(variable)))


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("straight_through", ["fine_grained", "identity"])
def test_latent_gradient_is_that_of_the_quantized_kernel_masked(case, straight_through):
    """(Where a quantizer's fine-grained mask lies is a matter of tests/quantizers.)"""
    layer, reference, inputs = built(case, case.with_straight_through(straight_through)), case.keras(), batch(case.kind)
    if layer.bias_quantizer is not None:
        layer.bias.assign(np.array([-200.0, -1.0, 0.0, 1.0, 127.0, 200.0], np.float32))
    reference.build(inputs.shape)
    reference.set_weights(quantized_weights(layer))
    upstream = np.random.default_rng(2).normal(size=layer.compute_output_shape(inputs.shape)).astype(np.float32)
    gradients, expected = layer_gradients(layer, inputs, upstream), layer_gradients(reference, inputs, upstream)
    if straight_through == "fine_grained":
        for number, part in enumerate(layer.kernel_parts):
            outside = outside_of(layer, part)
            assert outside.mean() < 1
            assert outside.any() or isinstance(layer.kernel_quantizer, FOLLOW_THE_WEIGHTS)
            expected[number] = np.where(outside, 0, expected[number])
        if layer.bias_quantizer is not None:
            expected[-1] = np.where(np.arange(6) % 5 == 0, 0, expected[-1])
    for gradient, wanted in zip(gradients, expected, strict=False):  # behind them stand those of states
        np.testing.assert_allclose(gradient, wanted, rtol=1e-6, atol=1e-6 if case.kind.same_order else 1e-5)


def outside_of(layer, part):
    latent = keras.ops.convert_to_tensor(getattr(layer, part.channels_last)(to_numpy(getattr(layer, part.latent))))
    return to_numpy(getattr(layer, part.as_kernel)(getattr(layer, part.quantizer).outside(latent)))


def stochastic(seed=3, **arguments):
    layer = layers.BinaryConnectDense(16, use_bias=False, stochastic=True, seed=seed, **arguments)
    layer.build((None, 64))
    return layer


@needs_tensorflow
def test_stochastic_signs_differ_from_step_to_step_inside_tf_function():
    import tensorflow as tf

    layer = stochastic()
    step = tf.function(lambda x: layer(x, training=True))
    identity = tf.eye(64)
    first, second = step(identity).numpy(), step(identity).numpy()
    assert step.experimental_get_tracing_count() == 1
    assert set(np.unique(first)) == {-1.0, 1.0}
    assert 0.3 < (first != second).mean() < 0.7


def test_stochastic_inference_is_deterministic_and_equals_quantized_kernel():
    layer = stochastic()
    identity = np.eye(64, dtype=np.float32)
    expected = np.where(to_numpy(layer.kernel) >= 0, 1, -1)
    for _ in range(2):
        np.testing.assert_array_equal(to_numpy(layer(identity)), expected)
        np.testing.assert_array_equal(to_numpy(layer(identity, training=False)), expected)
        np.testing.assert_array_equal(to_numpy(layer.quantized_kernel), expected)
    assert np.any(to_numpy(layer(identity, training=True)) != expected)


def test_stochastic_signs_repeat_from_the_same_seed():
    identity = np.eye(64, dtype=np.float32)
    outputs = []
    for seed in (3, 3, 4):
        layer = stochastic(seed)
        layer.kernel.assign(np.zeros((64, 16)))
        outputs.append(to_numpy(layer(identity, training=True)))
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert np.any(outputs[0] != outputs[2])


def test_stochastic_layer_trains_with_fit():
    model = keras.Sequential([keras.Input((64,)), layers.BinaryConnectDense(4, stochastic=True, seed=1)])
    state = to_numpy(model.layers[0].seed_generator.state)
    before = to_numpy(model.layers[0].kernel)
    model.compile("sgd", "mse")
    data = np.random.default_rng(4).normal(size=(8, 64)).astype(np.float32)
    model.fit(data, data[:, :4], batch_size=2, verbose=0)
    assert np.any(to_numpy(model.layers[0].seed_generator.state) != state)
    assert np.all(to_numpy(model.layers[0].kernel) != before)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_quantizes_the_float32_latents(case, policy):
    inputs = batch(case.kind)
    layer, single = built(case, dtype=policy), built(case)
    kernel = to_numpy(layer.kernel)
    # In half precision the first is a tie that rounds up (fixed point), the second 0 (whose sign would be +1).
    kernel.reshape(-1)[:2] = [np.nextafter(np.float32(2.0**-8), np.float32(0)), -1e-20]
    for instance in (layer, single):
        instance.kernel.assign(kernel)
    np.testing.assert_array_equal(to_numpy(layer.quantized_kernel), to_numpy(single.quantized_kernel))
    assert keras.backend.standardize_dtype(layer.kernel.dtype) == "float32"
    signs = [1, -1] if layer.kernel_format.is_sign else [0, 0]
    np.testing.assert_array_equal(np.sign(to_numpy(layer.quantized_kernel).reshape(-1)[:2]), signs)

    # In float32 where Keras adds in another order: its einsum of float16 gives wrong sums with oneDNN on some processors.
    reference = case.keras(dtype=policy if case.kind.same_order else "float32")
    reference.build(inputs.shape)
    reference.set_weights(quantized_weights(layer))
    outputs, expected = layer(inputs), reference(inputs)
    assert keras.backend.standardize_dtype(outputs.dtype) == policy.removeprefix("mixed_")
    tolerance = 0 if case.kind.same_order else 0.02
    outputs, expected = (to_numpy(keras.ops.cast(values, "float32")) for values in (outputs, expected))
    np.testing.assert_allclose(outputs, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_mixed_precision_trains(case):
    model, before = trained("mixed_bfloat16")
    kernel = model.get_layer(case.name).kernel
    assert np.mean(to_numpy(kernel) != before[kernel.path]) > 0.9


def test_mixed_precision_of_fixed_point_quantize():
    layer = layers.FixedPointQuantize(8, 4, dtype="mixed_bfloat16")
    outputs = layer(np.array([0.03, 0.04, 99.0], np.float32))
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    np.testing.assert_array_equal(to_numpy(keras.ops.cast(outputs, "float32")), [0.0, 0.0625, 7.9375])


@pytest.mark.parametrize("case", CLASSES, ids=str)
def test_regularizer_and_constraint_see_the_latent_kernel(case):
    prefix = "depthwise" if "depthwise_regularizer" in inspect.signature(case.kind.keras_layer).parameters else "kernel"
    arguments = {f"{prefix}_regularizer": keras.regularizers.L1(1.0), f"{prefix}_constraint": "non_neg"}
    layer = built(case, **arguments)
    latent = latents(layer)[0]
    np.testing.assert_allclose(float(layer.losses[0]), np.abs(to_numpy(latent)).sum(), rtol=1e-5)
    assert isinstance(latent.constraint, keras.constraints.NonNeg)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_stochastic_quantizer_draws_in_training_only(kind):
    layer = kind.layer(**kind.arguments, kernel_quantizer=BinaryConnect(stochastic=True), seed=4)
    layer.build((None, *kind.shape))
    layer.kernel.assign(np.zeros(layer.kernel.shape))
    inputs = batch(kind)
    first, second = (to_numpy(layer(inputs, training=True)) for _ in range(2))
    assert np.any(first != second)
    np.testing.assert_array_equal(to_numpy(layer(inputs)), to_numpy(layer(inputs)))
    assert np.all(to_numpy(layer.quantized_kernel) == 1)
