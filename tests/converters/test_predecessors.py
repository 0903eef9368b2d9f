"""Faults that converters of this kind have had, each with a network that would show it here.

Between them: epsilons and missing scales of batch normalization guessed, layers told apart by their names, logarithms of zero,
formats one bit too coarse, mixed types read as if they were one, biases worn away by repeated runs, failures with exit code 0.
"""

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import FLOAT, L, signal_to_noise_db
from kerasq import format as kq
from kerasq_convert import ConversionError, Converter
from kerasq_convert.command import main


def images(count=8, shape=(6, 6, 3), seed=3):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def chain(*layers, shape=(6, 6, 3)):
    keras.utils.set_random_seed(8)
    return keras.Sequential([keras.Input(shape, name="image"), *layers])


ENGINES = [("reference", None)]
if kerasq.runtime.available():
    ENGINES += [("native", tier) for tier in kerasq.runtime.tiers()]


def tensors(content):
    return {tensor.name: tensor for tensor in kq.loads(content).tensors}


@pytest.mark.parametrize("epsilon", [1e-6, 1e-5, 1e-3])
@pytest.mark.parametrize(("scale", "center"), [(True, True), (False, True), (True, False), (False, False)])
def test_batch_normalization_is_folded_with_its_own_epsilon_and_only_the_vectors_it_has(epsilon, scale, center):
    """Variances as small as the epsilons: a guessed epsilon changes the outputs by factors."""
    normalization = L.BatchNormalization(epsilon=epsilon, scale=scale, center=center, name="bn")
    model = chain(L.Conv2D(4, 3, name="conv"), normalization)
    rng = np.random.default_rng(1)
    for weight in normalization.weights:
        low, high = (1e-6, 1e-4) if weight.name == "moving_variance" else (0.5, 1.5)
        weight.assign(rng.uniform(low, high, weight.shape))
    found = kerasq.Interpreter(model_content=kerasq.convert(model, settings=FLOAT)).predict(images())
    np.testing.assert_allclose(found, model.predict(images(), verbose=0), rtol=2e-5, atol=2e-3)


def test_a_layer_is_known_by_what_it_does_not_by_its_name():
    layers = (
        L.Conv2D(4, 3, name="max_pool"),
        L.ReLU(name="softmax_add"),
        L.MaxPooling2D(2, name="dense_relu"),
        L.Flatten(name="conv2d"),
        L.Dense(3, name="input_batch_normalization"),
    )
    model = chain(*layers)
    found = kerasq.Interpreter(model_content=kerasq.convert(model, settings=FLOAT)).predict(images())
    np.testing.assert_allclose(found, model.predict(images(), verbose=0), rtol=1e-5, atol=1e-5)


class TestNothingToMeasure:
    """The logarithm of the largest value decides the format; the largest value may be zero, or none."""

    @pytest.mark.parametrize("kernel", ["zeros", "glorot_uniform"])
    @pytest.mark.parametrize("value", [0.0, 0.75])
    def test_zero_weights_and_constant_activations(self, kernel, value):
        model = chain(L.Conv2D(4, 3, kernel_initializer=kernel, bias_initializer="zeros"), L.Flatten(), L.Dense(2))
        x = np.full((8, 6, 6, 3), value, np.float32)
        content = kerasq.convert(model, representative_dataset=x)
        found = kerasq.Interpreter(model_content=content).predict(x)
        np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=0.05)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_weights_that_are_no_numbers_are_refused_by_name(self, bad):
        model = chain(L.Conv2D(4, 3, name="broken"))
        kernel, bias = model.layers[-1].get_weights()
        kernel[1, 1, 0, 2] = bad
        model.layers[-1].set_weights([kernel, bias])
        with pytest.raises(ConversionError, match=r"'broken'.*kernel"):
            kerasq.convert(model)


@pytest.mark.parametrize("largest", [127 / 128, 127 / 32, 127 * 8.0])
def test_a_largest_value_that_the_format_just_holds_does_not_cost_a_bit(largest):
    """127 / 128 is FIXED8_7; rounding its logarithm up would give FIXED8_6."""
    model = chain(L.Dense(1, use_bias=False, name="dense"), shape=(4,))
    model.layers[-1].set_weights([np.array([[largest], [-largest / 3], [0], [largest / 7]], np.float32)])
    kernel = tensors(kerasq.convert(model, criterion="minmax"))["dense/kernel"]
    assert kernel.data.max() == 127
    assert kernel.values.max() == largest


def test_a_large_bias_is_not_squeezed_into_the_format_of_small_weights():
    tiny = keras.initializers.RandomUniform(-1e-3, 1e-3, seed=1)
    model = chain(L.Conv2D(4, 3, kernel_initializer=tiny, bias_initializer=keras.initializers.Constant(5.0)))
    x = images(64)
    content = kerasq.convert(model, representative_dataset=x, bits=16)
    found, expected = kerasq.Interpreter(model_content=content).predict(x), model.predict(x, verbose=0)
    assert np.abs(found - expected).max() <= 2.0**-11  # the outputs are FIXED16_12: within half a step and the weights' share
    assert signal_to_noise_db(expected - 5, found - 5) > 20


@pytest.mark.parametrize(("engine", "isa"), ENGINES)
class TestEveryEngine:
    def test_fixed_weights_between_float_buffers(self, engine, isa):
        """Kernels chosen by the output's type alone read integers as floats."""
        model = chain(L.Conv2D(4, 3, padding="same", activation="relu"), L.Conv2D(4, 3), L.Flatten(), L.Dense(3))
        x = images()
        content = kerasq.convert(model, settings={"buffers": {"*": "FLOAT32"}})
        assert {str(t.format)[:6] for name, t in tensors(content).items() if name.endswith("kernel")} == {"FIXED8"}
        found = kerasq.Interpreter(model_content=content, engine=engine, isa=isa).predict(x)
        assert signal_to_noise_db(model.predict(x, verbose=0), found) > 30

    @pytest.mark.parametrize("buffers", ["FIXED8", "FIXED16"])
    def test_the_third_run_is_the_first(self, engine, isa, buffers):
        """Biases rescaled where they lie are right only once."""
        model = chain(L.Conv2D(4, 3, bias_initializer="normal"), L.ReLU(), L.Flatten(), L.Dense(3, bias_initializer="normal"))
        content = kerasq.convert(model, representative_dataset=images(), settings={"buffers": {"*": buffers}})
        before = bytes(content)
        interpreter = kerasq.Interpreter(model_content=content, engine=engine, isa=isa)
        first, second, third = (interpreter.predict(images(2, seed=seed)) for seed in (5, 6, 5))
        np.testing.assert_array_equal(first, third)
        assert np.abs(first - second).max() > 0
        assert content == before

    def test_values_beyond_the_range_become_its_ends(self, engine, isa):
        """A saturated value stored as the real number 8 instead of the integer 127 is 0.5 in FIXED8_4."""
        settings = {"buffers": {"image": "FIXED8_4", "*": "FIXED8_4"}}
        model = chain(L.ReLU(), shape=(2, 2, 1))
        x = np.array([100.0, 7.9375, -100.0, 8.0], np.float32).reshape(1, 2, 2, 1)
        found = kerasq.Interpreter(model_content=kerasq.convert(model, settings=settings), engine=engine, isa=isa).predict(x)
        assert found.ravel().tolist() == [7.9375, 7.9375, 0.0, 7.9375]

    def test_the_sign_of_zero_is_the_one_that_was_trained(self, engine, isa):
        """Rounding (w + 1) / 2 ties at zero: training and device must break the tie alike."""
        model = chain(kerasq.BinaryConnectDense(1, use_bias=False, name="dense"), shape=(4,))
        model.layers[-1].set_weights(
            [np.array([[0.0], [-0.0], [1e-30], [-1e-30]], np.float32), *model.layers[-1].get_weights()[1:]]
        )
        x = np.eye(4, dtype=np.float32)
        settings = {"buffers": {"*": "FIXED8_4"}}
        found = kerasq.Interpreter(model_content=kerasq.convert(model, settings=settings), engine=engine, isa=isa).predict(x)
        np.testing.assert_array_equal(found, model.predict(x, verbose=0))
        assert found.ravel().tolist() == [1.0, 1.0, 1.0, -1.0]


def test_no_format_need_be_written_by_hand():
    model = chain(L.Conv2D(4, 3, activation="relu"), L.GlobalAveragePooling2D(), L.Dense(3))
    content = kerasq.convert(model, representative_dataset=images(64))
    assert not any(tensor.format.is_float for tensor in tensors(content).values())
    found = kerasq.Interpreter(model_content=content).predict(images(64, seed=4))
    assert signal_to_noise_db(model.predict(images(64, seed=4), verbose=0), found) > 20


@pytest.mark.parametrize("format_", ["FIXED8_99", "FIXED8_-99", "FIXED16_65", "FIXED9_4", "fixed8"])
def test_a_format_that_does_not_exist_is_refused(format_):
    model = chain(L.Conv2D(4, 3, name="conv"))
    with pytest.raises(ConversionError, match=r"FIXED|fixed"):
        kerasq.convert(model, settings={"buffers": {"*": format_}})


@pytest.mark.parametrize(
    "arguments",
    [
        ("missing.keras",),
        ("net.keras", "--settings=missing.yaml"),
        ("net.keras", "--representative_dataset=missing.npy"),
        ("broken.h5",),
    ],
)
def test_a_failure_has_exit_code_1_and_leaves_no_file(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    chain(L.Conv2D(4, 3, name="conv")).save("net.keras")
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n and nothing more")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(["kerasq-convert", *arguments]) == 1
    assert any(word.partition("=")[2] in capsys.readouterr().err or word in arguments[0] for word in arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_goal_in_decibels_is_in_decibels():
    """Ten times the logarithm of a ratio of powers: 20 dB is an error of a tenth, not of a twentieth."""
    x = images(64)
    model = chain(L.Conv2D(4, 3), L.Flatten(), L.Dense(3))
    expected = model.predict(x, verbose=0)
    assert signal_to_noise_db(expected, expected * 1.1) == pytest.approx(20, abs=0.01)
    converter = Converter(model)
    converter.representative_dataset = x
    converter.goals = type(converter.goals)(min_sqnr_db=35)
    found = kerasq.Interpreter(model_content=converter.convert()).predict(x)
    assert signal_to_noise_db(expected, found) >= 34.5  # the search measures the logits of at most as many examples
