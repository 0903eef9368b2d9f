"""Networks with one fault, planted in one tensor, and healthy but for that."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

L = keras.layers
LOUD = np.where(np.arange(32) == 5, 100.0, 1.0)  # one channel of 32


@dataclasses.dataclass(frozen=True)
class Fault:
    """A network that loses accuracy.

    Attributes:
        model: The network.
        examples: Its representative dataset.
        tensor: The planted one.
        kind: Of the cause.
        gain_db: What the cure gains at least, on examples that the conversion never saw.
        options: Of the conversion.
        cured: The dataset that advice asks for, where the cure is advice.
    """

    model: keras.Model
    examples: np.ndarray
    tensor: str
    kind: str
    gain_db: float
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    cured: np.ndarray | None = None


def signals(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)


def healthy() -> keras.Model:
    """Three Dense layers with nothing unusual."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((16,), name="signal"),
            L.Dense(32, activation="relu", name="expand"),
            L.Dense(24, activation="relu", name="mix"),
            L.Dense(4, name="score"),
        ]
    )
    rng = np.random.default_rng(3)
    for name in ("expand", "mix", "score"):
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([kernel, rng.uniform(-0.5, 0.5, bias.shape)])
    return model


def outlier() -> Fault:
    """One example of 300 that some sensor made a thousand times as large."""
    examples = signals(300, 5)
    examples[101] *= 1000
    return Fault(healthy(), examples, "signal", "outliers", 15)


def channels() -> Fault:
    """One channel is a hundred times as loud as the others, and the next layer takes that back."""
    model = healthy()
    expand, mix = model.get_layer("expand"), model.get_layer("mix")
    kernel, bias = expand.get_weights()
    expand.set_weights([kernel * LOUD, bias * LOUD])
    kernel, bias = mix.get_weights()
    mix.set_weights([kernel / LOUD[:, None], bias])
    return Fault(model, signals(300, 5), "expand/output", "channels", 15)


def bias() -> Fault:
    """A bias in whole numbers, of values up to a half."""
    return Fault(healthy(), signals(300, 5), "mix/output", "bias", 10, {"settings": {"parameters": {"mix/bias": "FIXED16_0"}}})


def setting() -> Fault:
    """An eighth of the range that the values take."""
    options = {"settings": {"buffers": {"expand/output": "UFIXED8_9"}}}
    return Fault(healthy(), signals(300, 5), "expand/output", "setting", 10, options)


def few() -> Fault:
    """Eight examples of values that are seldom large."""
    keras.utils.set_random_seed(1)
    layers = [L.Dense(4, name="rare"), L.Activation("exponential", name="burst"), L.Dense(4, name="score")]
    model = keras.Sequential([keras.Input((16,), name="signal"), *layers])
    kernel, bias = model.get_layer("rare").get_weights()
    model.get_layer("rare").set_weights([2 * kernel, bias])
    # What comes before the burst, its range filled, would be as unsettled.
    return Fault(model, signals(8, 5), "burst/output", "examples", 6, {"fill_ranges": False}, cured=signals(300, 6))


def softmax() -> Fault:
    """A thousand classes, none of which is ever likely."""
    keras.utils.set_random_seed(1)
    layers = [L.Dense(32, activation="relu", name="expand"), L.Dense(1000, name="logits"), L.Softmax(name="shares")]
    model = keras.Sequential([keras.Input((16,), name="signal"), *layers])
    return Fault(model, signals(300, 5), "shares/output", "softmax", 15)


FAULTS: tuple[Callable[[], Fault], ...] = (outlier, channels, bias, setting, few, softmax)
