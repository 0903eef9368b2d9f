"""Every layer with every quantizer, exported and converted: the file stores the weights that training computed with."""

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import signal_to_noise_db
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
        # Sums over alpha are rounded in an order that may differ; all others are exact in any.
        tolerance = 1e-5 if any(scaled in name for scaled in ("BinaryWeight", "Ternary", "Scaled")) else 0
        np.testing.assert_allclose(values.numpy(), expected[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_file_stores_the_quantized_kernel(case, model, converted, outputs):
    """The same values; that they are in their places is seen in the outputs (the converter arranges kernels as it needs them)."""
    layer, stored = model.get_layer(case.name), converted.tensor(f"{case.name}/kernel")
    kernel = to_numpy(layer.quantized_kernel)
    assert stored.format.family == layer.kernel_format.family
    if stored.format.is_sign:  # the magnitude is a part of the multiplier
        np.testing.assert_array_equal(np.sort(stored.data, axis=None), np.sort(np.sign(kernel), axis=None))
    elif (alpha := layer.kernel_quantizer.alpha(layer.output_channels_last(layer.kernel))) is not None:
        integers = np.rint(to_numpy(layer.output_channels_last(kernel)) / to_numpy(alpha))
        np.testing.assert_array_equal(np.sort(stored.data, axis=None), np.sort(integers, axis=None))
    else:
        np.testing.assert_array_equal(np.sort(stored.format.dequantize(stored.data), axis=None), np.sort(kernel, axis=None))
    float_outputs, file_outputs = outputs
    assert signal_to_noise_db(float_outputs[case.name], file_outputs[case.name]) > 30


def test_every_kind_is_converted(converted):
    assert len({tensor.name for tensor in converted.tensors if tensor.name.endswith("/kernel")}) == len(CASES) > 3 * len(KINDS)
