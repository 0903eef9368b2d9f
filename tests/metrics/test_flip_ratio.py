import keras
import numpy as np

from kerasq.metrics import FlipRatio


def test_the_mean_of_the_shares_that_changed():
    metric = FlipRatio((2, 2))
    assert float(metric.result()) == 0
    for values in ([[1, -1], [0, 2]], [[3, 1], [0, 2]], [[-3, -1], [1, 2]]):
        metric.update_state(np.array(values, np.float32))
    assert float(metric.result()) == (0.25 + 0.75) / 2
    metric.reset_state()
    assert float(metric.result()) == 0
    metric.update_state(np.array([[-3, -1], [1, -2]], np.float32))
    assert float(metric.result()) == 0.25
    assert FlipRatio.from_config(metric.get_config()).shape == (2, 2)
    assert keras.saving.get_registered_name(FlipRatio) == "kerasq>FlipRatio"
