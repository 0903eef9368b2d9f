"""What a training step costs with quantizers: ResNet23 by every recipe, beside the float network.

    python examples/benchmarks/training_step.py

Models take their steps in turns, so that whatever else the machine does meets all of them; the fastest step of each counts, and
the ratio of each recipe to float is printed, of forward and backward pass and optimizer together. KERAS_BACKEND chooses the
backend. Three minutes on two free processors.
"""

import time

import keras
import numpy as np
from absl import app, flags

import kerasq

FLAGS = flags.FLAGS
flags.DEFINE_integer("batch", 128, "Images per step.", lower_bound=1)
flags.DEFINE_integer("steps", 5, "Steps of each model that are timed.", lower_bound=1)
flags.DEFINE_list("recipes", ["fixed8", "fixed4", "ternary", "binary_weight", "binary_connect"], "Recipes of quantize_model.")
flags.DEFINE_integer("activations", 8, "Bits of activations; 0: float.", lower_bound=0, upper_bound=16)


def compiled(model: keras.Model) -> keras.Model:
    model.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def main(_) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (FLAGS.batch, 32, 32, 3)).astype("float32")
    y = rng.integers(0, 10, FLAGS.batch)
    network = kerasq.models.resnet23()
    models = {"float": compiled(network)}
    for recipe in FLAGS.recipes:
        models[recipe] = compiled(kerasq.quantize_model(network, x[:8], recipe, activations=FLAGS.activations or None))
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(FLAGS.steps + 1):  # the first one compiles
        for name, model in models.items():
            begin = time.perf_counter()
            model.train_on_batch(x, y)
            seconds[name].append(time.perf_counter() - begin)
    fastest = {name: min(times[1:]) for name, times in seconds.items()}
    print(f"{'step of':<16}{'seconds':>9}{'ratio':>8}")
    for name, least in fastest.items():
        print(f"{name:<16}{least:9.3f}{least / fastest['float']:8.2f}")


if __name__ == "__main__":
    app.run(main)
