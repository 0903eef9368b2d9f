"""converters/kerasq_convert/passes/scale_channels.py: which kernels get a multiplier for each output channel."""

import keras
import numpy as np
import pytest

import kerasq
from kerasq.format import loads
from kerasq_convert.passes.scale_channels import LONG


def model(inputs: int, reach: float) -> tuple[keras.Model, np.ndarray]:
    """A Dense layer with weights of all channels up to `reach`, and examples."""
    rng = np.random.default_rng(0)
    dense = keras.layers.Dense(6)
    result = keras.Sequential([keras.Input((inputs,)), dense])
    weights = rng.uniform(-reach, reach, (inputs, 6))
    weights[0] = reach  # so all channels are alike
    dense.set_weights([weights, np.zeros(6)])
    return result, rng.normal(size=(16, inputs)).astype(np.float32)


@pytest.mark.parametrize(
    ("inputs", "reach", "expected"),
    [
        (LONG // 4, 66 / 128, False),  # nearly a bit is not enough
        (LONG // 4, 62 / 128, False),
        (4 * LONG, 66 / 128, True),  # but it is for long channels
        (4 * LONG, 90 / 128, True),
        (4 * LONG, 120 / 128, False),  # half a decibel is not
    ],
)
def test_long_channels_need_to_gain_less(inputs, reach, expected):
    network, examples = model(inputs, reach)
    converted = loads(kerasq.convert(network, representative_dataset=examples, fill_ranges=False))
    assert [operator.inputs[2] >= 0 for operator in converted.operators if len(operator.inputs) > 2] == [expected]
