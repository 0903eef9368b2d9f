"""What a training step costs with quantizers: ResNet23 by every recipe, beside the float network.

    python examples/benchmarks/training_step.py

Each step with quantizers is paired with a step of the float network right before it, so that whatever else the machine does
meets both: the median of the pairs' ratios is printed, of forward and backward pass and optimizer together, with the quartiles
between which half of the pairs lie, and that of the processors' time, which says more on a machine that others use. `learned8`
and `learned4` are rules whose positions, or factors, are trained too; `/folded` behind a name stands for
`fold_batch_norm=True`. KERAS_BACKEND chooses the backend. Five minutes on two free processors.
"""

import os
import time

import keras
import numpy as np
from absl import app, flags

import kerasq
from kerasq.quantizers import LearnedFixedPoint, LearnedScaledFixedPoint

FLAGS = flags.FLAGS
RECIPES = ["fixed8", "fixed4", "ternary", "binary_weight", "binary_connect"]
LEARNED = {
    "learned8": {"*": LearnedFixedPoint(8)},
    "learned4": {"*": LearnedScaledFixedPoint(4), "first": LearnedFixedPoint(8), "last": LearnedFixedPoint(8)},
}
FOLDED = "/folded"
flags.DEFINE_integer("batch", 128, "Images per step.", lower_bound=1)
flags.DEFINE_integer("steps", 9, "Steps of each model that are timed.", lower_bound=1)
flags.DEFINE_list("recipes", [*RECIPES, *LEARNED, "fixed8" + FOLDED, "fixed4" + FOLDED], "What is measured.")
flags.DEFINE_integer("activations", 8, "Bits of activations; 0: float.", lower_bound=0, upper_bound=16)


def compiled(model: keras.Model) -> keras.Model:
    model.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def quantized(network: keras.Model, name: str, x: np.ndarray) -> keras.Model:
    recipe = name.removesuffix(FOLDED)
    options = {"activations": FLAGS.activations or None, "fold_batch_norm": name.endswith(FOLDED)}
    return compiled(kerasq.quantize_model(network, x[:8], LEARNED.get(recipe, recipe), **options))


def main(_) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (FLAGS.batch, 32, 32, 3)).astype("float32")
    y = rng.integers(0, 10, FLAGS.batch)
    network = kerasq.models.resnet23()
    models = {name: quantized(network, name, x) for name in FLAGS.recipes}

    def seconds(model: keras.Model) -> tuple[float, float]:
        """Of a step: by the clock, and of all processors together."""
        begin = time.perf_counter(), time.process_time()
        model.train_on_batch(x, y)
        return time.perf_counter() - begin[0], time.process_time() - begin[1]

    for model in (compiled(network), *models.values()):
        seconds(model)  # the first step compiles
    pairs = {name: np.empty((FLAGS.steps, 2, 2)) for name in models}
    for step in range(FLAGS.steps):
        for name, model in models.items():
            pairs[name][step] = seconds(network), seconds(model)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} processors, load {load}; {keras.backend.backend()}, batches of {FLAGS.batch}")
    print(f"{'step of':<16}{'seconds':>9}{'float':>9}{'ratio':>8}{'half of them':>16}{'processors':>13}")
    for name, times in pairs.items():
        own, in_float = np.median(times[:, 1, 0]), np.median(times[:, 0, 0])
        ratios = times[:, 1] / times[:, 0]
        low, middle, high = np.quantile(ratios[:, 0], [0.25, 0.5, 0.75])
        print(f"{name:<16}{own:9.3f}{in_float:9.3f}{middle:8.2f}{low:9.2f} to {high:.2f}{np.median(ratios[:, 1]):13.2f}")


if __name__ == "__main__":
    app.run(main)
