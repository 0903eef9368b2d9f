"""The loss of distillation against NumPy, training, evaluation and files. With KERAS_BACKEND these run on JAX and torch."""

import keras
import numpy as np
import pytest

import kerasq
from kerasq.training import Distilled, harden

RNG = np.random.default_rng(5)
X = RNG.normal(size=(48, 6, 6, 2)).astype(np.float32)
Y = RNG.integers(0, 3, 48)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network(filters=4, seed=1, quantizer=None, softmax=False, l2=0.0):
    keras.utils.set_random_seed(seed)
    regularizer = keras.regularizers.L2(l2) if l2 else None
    x = inputs = keras.Input((6, 6, 2))
    x = kerasq.layers.QuantizedConv2D(filters, 3, kernel_quantizer=quantizer, kernel_regularizer=regularizer, name="conv")(x)
    x = keras.layers.ReLU(name="relu")(keras.layers.BatchNormalization(name="bn")(x))
    x = keras.layers.Dense(3, activation="softmax" if softmax else None, name="answer")(keras.layers.Flatten()(x))
    return keras.Model(inputs, x)


def log_softmax(values):
    shifted = values - values.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def values_of(model, x=X):
    return np.asarray(keras.ops.convert_to_numpy(model(x, training=False)), np.float64)


def energy(features):
    rows = np.square(features).mean(-1).reshape(len(features), -1)
    return rows / np.sqrt(np.square(rows).sum(1, keepdims=True) + 1e-12)


def loss_in_training(distilled):
    return float(keras.ops.convert_to_numpy(distilled.compute_loss(X, Y, distilled(X, training=True), None, training=True)))


def frozen(model):
    """Batch normalization then computes in training as in inference, so that NumPy needs one forward pass only."""
    model.get_layer("bn").trainable = False
    return model


@pytest.mark.parametrize(
    "arguments",
    [{}, {"temperature": 1.5, "share": 0.25}, {"temperature": None}, {"hints": ["relu"], "hint_weight": 2.0}],
    ids=str,
)
def test_the_loss_is_that_of_its_formula(arguments):
    student, teacher = frozen(network(l2=0.01)), network(6, seed=2)
    distilled = Distilled(student, teacher, **arguments)
    distilled.compile("sgd", LOSS)
    s, t = values_of(student), values_of(teacher)
    temperature, share = arguments.get("temperature", 3.0), arguments.get("share", 0.9)
    hard = -log_softmax(s)[np.arange(len(Y)), Y].mean()
    if temperature is None:
        soft = np.square(s - t).mean()
    else:
        soft = -(temperature**2) * (np.exp(log_softmax(t / temperature)) * log_softmax(s / temperature)).sum(1).mean()
    wanted = (
        (1 - share) * hard + share * soft + 0.01 * np.square(keras.ops.convert_to_numpy(student.get_layer("conv").kernel)).sum()
    )
    if "hints" in arguments:
        ours, theirs = (values_of(keras.Model(n.inputs, n.get_layer("relu").output)) for n in (student, teacher))
        wanted += 2.0 * np.square(energy(ours) - energy(theirs)).sum(1).mean()
    np.testing.assert_allclose(loss_in_training(distilled), wanted, rtol=2e-5)


def test_probabilities_are_compared_by_their_logarithms():
    student, teacher = frozen(network(softmax=True)), network(seed=2, softmax=True)
    distilled = Distilled(student, teacher, temperature=2.0, share=1.0, from_logits=False)
    distilled.compile("sgd", keras.losses.SparseCategoricalCrossentropy())
    s, t = (np.log(values_of(model)) / 2 for model in (student, teacher))
    wanted = -4 * (np.exp(log_softmax(t)) * log_softmax(s)).sum(1).mean()
    np.testing.assert_allclose(loss_in_training(distilled), wanted, rtol=2e-5)


@pytest.mark.parametrize("hint_loss", ["attention", "mse"])
def test_it_fits_evaluates_saves_and_goes_on(tmp_path, hint_loss):
    student, teacher = network(quantizer="Ternary"), network(seed=2)
    before = [keras.ops.convert_to_numpy(v) for v in teacher.variables]
    distilled = Distilled(student, teacher, share=1.0, hints={"relu": "relu"}, hint_loss=hint_loss)
    distilled.compile(keras.optimizers.Adam(0.02), LOSS, metrics=["accuracy"])
    losses = distilled.fit(X, Y, batch_size=16, epochs=6, verbose=0, shuffle=False).history["loss"]
    assert losses[-1] < losses[0]
    assert all(np.array_equal(a, keras.ops.convert_to_numpy(v)) for a, v in zip(before, teacher.variables, strict=True))
    student.compile(loss=LOSS, metrics=["accuracy"])
    np.testing.assert_allclose(distilled.evaluate(X, Y, verbose=0), student.evaluate(X, Y, verbose=0), rtol=1e-5)
    distilled.save(tmp_path / "distilled.keras")
    again = keras.models.load_model(tmp_path / "distilled.keras")
    assert (again.temperature, again.share, again.hints, again.hint_loss) == (3.0, 1.0, {"relu": "relu"}, hint_loss)
    np.testing.assert_array_equal(again.predict(X, verbose=0), student.predict(X, verbose=0))
    rest = [model.fit(X, Y, batch_size=16, verbose=0, shuffle=False).history["loss"] for model in (distilled, again)]
    np.testing.assert_allclose(rest[0], rest[1], rtol=1e-4)


def test_what_does_not_fit_is_named():
    with pytest.raises(
        ValueError, match=r"`temperature`[\s\S]*`share`[\s\S]*`hint_loss`[\s\S]*'absent', which is no layer of the student"
    ):
        Distilled(network(), network(), temperature=0, share=1.5, hints={"absent": "relu"}, hint_loss="cosine")
    with pytest.raises(ValueError, match="equal shapes"):
        Distilled(network(), keras.Sequential([keras.Input((6, 6, 2)), keras.layers.Flatten(), keras.layers.Dense(4)]))


@pytest.mark.parametrize(
    "quantizer", ["BinaryWeight", "BinaryConnect", "Ternary", "LearnedTernary", "ScaledFixedPoint", "LearnedScaledFixedPoint"]
)
def test_hardened_kernels_compute_the_same_and_stay(quantizer):
    model = network(8, quantizer=quantizer)
    before = keras.ops.convert_to_numpy(model.get_layer("conv").quantized_kernel)
    assert harden(model) == 1
    latent = keras.ops.convert_to_numpy(model.get_layer("conv").kernel)
    np.testing.assert_array_equal(latent, before)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model.get_layer("conv").quantized_kernel), before, rtol=1e-6)
    noise = 1 + 1e-6 * RNG.normal(size=latent.shape)  # as another order of sums would have it
    model.get_layer("conv").kernel.assign(latent * noise)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model.get_layer("conv").quantized_kernel), before, rtol=1e-5)


def test_a_kernel_that_a_negative_factor_would_turn_around_stays():
    model = network(8, quantizer="LearnedTernary")
    layer = model.get_layer("conv")
    layer.kernel_state.alpha.assign(-layer.kernel_state.alpha)
    before = keras.ops.convert_to_numpy(layer.kernel)
    assert harden(model) == 0
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer.kernel), before)


def test_positions_that_are_learned_stay_free():
    model = network(8, quantizer="LearnedFixedPoint")
    before = keras.ops.convert_to_numpy(model.get_layer("conv").kernel)
    assert harden(model) == 0
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model.get_layer("conv").kernel), before)
