"""Training: every latent weight moves by the documented gradient; random signs; mixed precision."""

import keras
import numpy as np
import pytest

from kerasq import layers
from layers.layer_cases import KERNEL_LAYERS, TENSORFLOW, batch, input_shape, keras_layer, make, spread_weights

to_numpy = keras.ops.convert_to_numpy
needs_tensorflow = pytest.mark.skipif(not TENSORFLOW, reason="uses tf.GradientTape or tf.function")


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
def test_one_step_moves_every_latent_weight(layer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(input_shape(layer)), make(layer), keras.layers.Flatten()])
    inputs = batch(layer, 8)
    targets = np.random.default_rng(1).normal(size=(8, model.output_shape[1])).astype(np.float32)
    before = [to_numpy(variable) for variable in model.trainable_variables]
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(inputs, targets, epochs=1, batch_size=8, verbose=0)
    after = [to_numpy(variable) for variable in model.trainable_variables]
    assert len(before) == 2
    for old, new in zip(before, after, strict=True):
        assert np.all(old != new)
        assert np.all(np.isfinite(new))


@needs_tensorflow
@pytest.mark.parametrize("layer", KERNEL_LAYERS)
@pytest.mark.parametrize("straight_through", ["fine_grained", "identity"])
def test_latent_gradient_is_that_of_the_quantized_kernel_masked(layer, straight_through):
    import tensorflow as tf

    fixed_point = "FixedPoint" in layer.__name__
    own = {"bias_straight_through": straight_through} if fixed_point else {}
    instance = make(layer, straight_through=straight_through, **own)
    reference = make(keras_layer(layer)) if layer in KERNEL_LAYERS[3:] else keras_layer(layer)(6, 3)
    inputs = batch(layer)
    for built in (instance, reference):
        built.build(inputs.shape)
    spread_weights(instance)
    if fixed_point:
        instance.bias.assign(np.array([-200.0, -1.0, 0.0, 1.0, 127.0, 200.0], np.float32))
    reference.set_weights([to_numpy(instance.quantized_kernel), to_numpy(instance.quantized_bias)])
    upstream = None
    gradients = []
    for built in (instance, reference):
        with tf.GradientTape() as tape:
            outputs = built(inputs)
        if upstream is None:
            upstream = tf.constant(np.random.default_rng(2).normal(size=outputs.shape), tf.float32)
        gradients.append(tape.gradient(outputs, built.trainable_variables, output_gradients=upstream))
    (kernel, bias), (expected_kernel, expected_bias) = gradients
    if straight_through == "fine_grained":
        low, high = (instance.kernel_format.min, instance.kernel_format.max) if fixed_point else (-1, 1)
        latent = to_numpy(instance.kernel)
        inside = (latent >= low) & (latent <= high)
        assert 0 < inside.mean() < 1
        expected_kernel = np.where(inside, expected_kernel, 0)
        expected_bias = np.where(np.arange(6) % 5 == 0, 0, expected_bias) if fixed_point else expected_bias
    np.testing.assert_allclose(kernel, expected_kernel, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(bias, expected_bias, rtol=1e-6, atol=1e-6)


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


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_quantizes_the_float32_latents(layer, policy):
    inputs = batch(layer)
    instance = make(layer, dtype=policy)
    instance.build(inputs.shape)
    spread_weights(instance)
    kernel = to_numpy(instance.kernel)
    # In half precision the first is a tie that rounds up (fixed point), the second 0 (whose sign would be +1).
    kernel.reshape(-1)[:2] = [np.nextafter(np.float32(2.0**-8), np.float32(0)), -1e-20]
    instance.kernel.assign(kernel)
    single = make(layer)
    single.build(inputs.shape)
    single.set_weights(instance.get_weights())
    np.testing.assert_array_equal(to_numpy(instance.quantized_kernel), to_numpy(single.quantized_kernel))
    assert keras.backend.standardize_dtype(instance.kernel.dtype) == "float32"
    expected_first_two = {"Fixed": [0, 0], "Binary": [1, -1]}["Fixed" if "Fixed" in layer.__name__ else "Binary"]
    np.testing.assert_array_equal(np.sign(to_numpy(instance.quantized_kernel).reshape(-1)[:2]), expected_first_two)

    reference = (keras.layers.Conv2D(6, 3, dtype=policy)) if "Conv2D" in layer.__name__ else keras.layers.Dense(6, dtype=policy)
    reference.build(inputs.shape)
    reference.set_weights([to_numpy(instance.quantized_kernel), to_numpy(instance.quantized_bias)])
    outputs, expected = instance(inputs), reference(inputs)
    assert keras.backend.standardize_dtype(outputs.dtype) == policy.removeprefix("mixed_")
    np.testing.assert_array_equal(to_numpy(keras.ops.cast(outputs, "float32")), to_numpy(keras.ops.cast(expected, "float32")))


def test_mixed_precision_of_fixed_point_quantize():
    layer = layers.FixedPointQuantize(8, 4, dtype="mixed_bfloat16")
    outputs = layer(np.array([0.03, 0.04, 99.0], np.float32))
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    np.testing.assert_array_equal(to_numpy(keras.ops.cast(outputs, "float32")), [0.0, 0.0625, 7.9375])


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
def test_mixed_precision_trains(layer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input(input_shape(layer)), make(layer, dtype="mixed_bfloat16"), keras.layers.Flatten(dtype="float32")]
    )
    before = to_numpy(model.layers[0].kernel)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    inputs = batch(layer, 8)
    model.fit(inputs, np.ones((8, model.output_shape[1]), np.float32), verbose=0)
    assert np.mean(to_numpy(model.layers[0].kernel) != before) > 0.9


@pytest.mark.parametrize("layer", KERNEL_LAYERS)
def test_regularizer_and_constraint_see_the_latent_kernel(layer):
    instance = make(layer, kernel_regularizer=keras.regularizers.L1(1.0), kernel_constraint="non_neg")
    instance.build((None, *input_shape(layer)))
    spread_weights(instance)
    np.testing.assert_allclose(float(instance.losses[0]), np.abs(to_numpy(instance.kernel)).sum(), rtol=1e-5)
    assert isinstance(instance.kernel.constraint, keras.constraints.NonNeg)
