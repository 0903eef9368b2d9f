"""Every layer with every quantizer, exported and converted: the file stores the weights that training computed with."""

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import signal_to_noise_db
from kerasq_convert.memory import order
from layers.kinds import CASES, KINDS, TENSORFLOW, all_layers, examples, spread_weights, to_numpy

pytestmark = pytest.mark.skipif(not TENSORFLOW, reason="a SavedModel is TensorFlow's")


@pytest.fixture(scope="module")
def model():
    """All layers, with weights beyond the range of their formats; inputs are multiples of 1/16."""
    keras.utils.set_random_seed(2)
    model = all_layers()
    for case in CASES:
        spread_weights(model.get_layer(case.name))
    return model


@pytest.fixture(scope="module")
def on_grid():
    return {name: np.round(values * 16) / 16 for name, values in examples(32).items()}


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    model.export(folder / "model", verbose=False)
    return folder / "model"


@pytest.fixture(scope="module")
def converted(saved, on_grid):
    converter = kerasq.Converter(saved)
    converter.representative_dataset = on_grid
    converter.prune = False  # layers that compute the same keep kernels of their own
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(order, "STATES", 10)  # no order of layers that have nothing to do with each other is looked for
        return kerasq.format.loads(converter.convert())


@pytest.fixture(scope="module")
def outputs(model, converted, on_grid):
    """Those of the model in float, and of the file."""
    expected = {name: to_numpy(values) for name, values in model(on_grid, training=False).items()}
    return expected, kerasq.Interpreter(model_content=converted).predict(on_grid)


def test_saved_model_computes_the_same(model, saved, outputs, on_grid):
    import tensorflow as tf

    restored = tf.saved_model.load(saved)
    served, expected = restored.serve(on_grid), outputs[0]
    assert set(served) == {case.name for case in CASES}
    for name, values in served.items():
        # Sums over alpha, and over what lies between two kernels, are rounded in an order that may differ; others are exact.
        tolerance = 1e-5 if any(rounded in name for rounded in ("BinaryWeight", "Ternary", "Scaled", "Separable")) else 0
        np.testing.assert_allclose(values.numpy(), expected[name], rtol=tolerance, atol=tolerance * np.abs(expected[name]).max())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_file_stores_the_quantized_kernel(case, model, converted, outputs):
    """The same values; that they are in their places is seen in the outputs (the converter arranges kernels as it needs them)."""
    layer = model.get_layer(case.name)
    for number, part in enumerate(layer.kernel_parts):
        stored = converted.tensor(f"{case.name}:{number}/kernel" if number else f"{case.name}/kernel")
        kernel, channels_last = to_numpy(layer.quantize_kernel(part)), getattr(layer, part.channels_last)
        assert stored.format.family == layer.kernel_format.family  # all of them have the same quantizer
        if stored.format.is_sign:  # the magnitude is a part of the multiplier
            wanted = np.sign(kernel)
        elif (alpha := layer.kernel_quantizer.alpha(channels_last(to_numpy(getattr(layer, part.latent))))) is not None:
            wanted = np.rint(to_numpy(channels_last(kernel)) / to_numpy(alpha))
        else:
            wanted = stored.format.quantize(kernel)
            np.testing.assert_array_equal(stored.format.dequantize(wanted), kernel)
        np.testing.assert_array_equal(np.sort(stored.data, axis=None), np.sort(wanted, axis=None))
    float_outputs, file_outputs = outputs
    assert signal_to_noise_db(float_outputs[case.name], file_outputs[case.name]) > 30


def test_every_kind_is_converted(converted):
    kernels = sum(len(case.layer.kernel_parts) for case in CASES)
    assert len({tensor.name for tensor in converted.tensors if tensor.name.endswith("/kernel")}) == kernels > 3 * len(KINDS)
