"""The converted network computes what Keras computes: in float nearly to the bit, in fixed point nearly to the noise."""

import numpy as np
import pytest

import kerasq
from converters.zoo import FLOAT, NETWORKS, SHAPE, build, images, signal_to_noise_db
from kerasq import format as kq
from kerasq_convert import Converter
from kerasq_convert.comparison.logits import beside_logits
from kerasq_convert.repair.bias_correction import BiasCorrection


@pytest.fixture(scope="module", params=list(NETWORKS))
def network(request):
    model = build(request.param)
    return model, np.asarray(model(images(), training=False))


def run(content, x):
    return kerasq.Interpreter(model_content=content, engine="reference").predict(x)


def test_float_conversion_computes_what_keras_computes(network):
    model, expected = network
    found = run(kerasq.convert(model, settings=FLOAT), images())
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5 * np.abs(expected).max())


def test_sixteen_bits_throughout_are_as_good_as_float(network):
    model, expected = network
    parameters = {"*/kernel": "FIXED16", "*/bias": "FIXED32"} if model.weights else {}
    settings = {"buffers": {"*": "FIXED16"}, "parameters": parameters}
    content = kerasq.convert(model, settings=settings, representative_dataset=images(64, seed=1))
    loaded = kq.loads(content)
    assert {t.format.family for t in loaded.activations()} == {"FIXED16"}
    # A binary kernel that is stored in 16 bits is rounded; alpha costs it little.
    assert signal_to_noise_db(expected, run(content, images())) > 45


def test_eight_bits_with_automatic_formats(network, monkeypatch):
    model, expected = network
    correct, before_and_after = BiasCorrection.measure, []

    def watched(correction, plain):
        corrected = correct(correction, plain)
        before_and_after.append([correction.held.noise(beside_logits(each), 1)[0].sum() for each in (plain, corrected)])
        return corrected

    monkeypatch.setattr(BiasCorrection, "measure", watched)
    converter = Converter(model)
    converter.representative_dataset = images(64, seed=1)
    content = converter.convert()
    loaded = kq.loads(content)
    assert all(t.format.is_fixed and t.format.bits == 8 for t in loaded.activations())
    assert str(loaded.tensors[loaded.inputs[0]].format) == "UFIXED8_0"
    assert signal_to_noise_db(expected, run(content, images())) > 15
    assert len(content) == converter.report.model_bytes
    assert kq.dumps(loaded) == content
    ((before, after),) = before_and_after
    assert after <= before
    (output,) = converter.report.outputs
    assert output.sqnr_db == pytest.approx(-10 * np.log10(after))


def test_parameters_quantized_buffers_float(network):
    model, expected = network
    converter = Converter(model)
    content = converter.convert()
    loaded = kq.loads(content)
    assert {str(t.format) for t in loaded.activations()} == {"FLOAT32"}
    assert not any(t.format.is_float for t in loaded.constants() if t.name.endswith("/kernel"))
    assert any("representative_dataset" in note for note in converter.report.notes)
    assert signal_to_noise_db(expected, run(content, images())) > 20


def test_input_shape_of_the_zoo(network):
    model, _ = network
    loaded = kq.loads(kerasq.convert(model))
    assert loaded.tensors[loaded.inputs[0]].shape == (1, *SHAPE)
