"""The MobileNet of the zoo."""

import numpy as np
import pytest

import kerasq


def test_shapes_and_size():
    model = kerasq.models.mobilenet(classes=7)
    assert model.output_shape == (None, 7)
    assert model.count_params() == 75_367
    halved = kerasq.models.mobilenet(width=0.5)
    assert halved.get_layer("conv6_pointwise").filters == 64


def test_converted_by_default_it_stays_near_float():
    model = kerasq.models.mobilenet(width=0.25)
    images = np.random.default_rng(1).integers(0, 256, (32, 32, 32, 3)).astype(np.float32)
    content = kerasq.convert(model, representative_dataset=images)
    wanted, outputs = model.predict(images, verbose=0), kerasq.Interpreter(model_content=content).predict(images)
    assert np.sum((outputs - wanted) ** 2) < np.sum(wanted**2) / 100


def test_a_width_of_nothing_is_refused():
    with pytest.raises(ValueError, match="width=0"):
        kerasq.models.mobilenet(width=0)
