"""Networks whose outputs are numbers: an autoencoder of spectra and a denoiser of images, trained, converted and compared.

    python examples/regression/run.py --output work/regression

Prints for each conversion the signal-to-noise ratio of its outputs against the float network's, and that of both against the
truth, over examples that neither training nor the choice of formats saw; then the same with kernels of 4 bits, after training
and by recipe "fixed4", trained as the chip computes (`kerasq.quantize_model`). About three minutes on one processor; no download.
"""

import itertools
import pathlib
from collections.abc import Iterator

import keras
import numpy as np
from absl import app, flags, logging

import kerasq
from kerasq.datasets import shapes
from kerasq_convert import Converter
from kerasq_convert.search import Goals

FLAGS = flags.FLAGS
flags.DEFINE_string("output", None, "Folder for the models.", required=True)
flags.DEFINE_list("networks", ["autoencoder", "denoiser"], "Which networks.")
flags.DEFINE_integer("epochs", 4, "Passes over the training images; ten times as many over the spectra.", lower_bound=1)
flags.DEFINE_integer("examples", 4096, "Training examples.", lower_bound=512)

BATCH = 32
STEPS = 16  # in one call of TensorFlow: its overhead is more than these networks
RATES = {"autoencoder": 1e-2}  # at the beginning of a training with 4 bits; the denoiser loses nothing without
CHOSEN_WITH = 256  # training examples that formats are chosen with
GOAL_DB = 35.0
CONVERSIONS = {
    "8 bit": {},
    f"8 bit, 16 where {GOAL_DB:.0f} dB take it": {"goals": Goals(min_sqnr_db=GOAL_DB)},
    "16-bit activations": {"bits": 16},
    "4-bit weights, after training": {"weight_bits": 4},
}
Data = tuple[np.ndarray, np.ndarray]


def spectra(count: int, seed: int) -> Data:
    """Spectra of a machine: harmonics of a random speed with random strengths, 128 bins; input and truth are the same."""
    rng = np.random.default_rng(seed)
    bins = np.arange(128, dtype=np.float32)
    speed, decay = rng.uniform(8, 30, (count, 1)), rng.uniform(0.5, 0.9, (count, 1))
    values = sum(decay**k * np.exp(-(((bins - speed * k) / 2.5) ** 2)) for k in range(1, 5))
    values = (values + rng.normal(0, 0.01, values.shape)).astype(np.float32)
    return values, values


def noisy_images(count: int, seed: int) -> Data:
    """Photograph-like images of `kerasq.datasets.shapes` with Gaussian noise of a tenth of the range; the truth is without."""
    (images, _), _ = shapes.load_data(count, 10, seed)
    noise = np.random.default_rng(seed).normal(0, 25, images.shape)
    return np.clip(images + noise, 0, 255).round().astype(np.float32), images.astype(np.float32) / 255


def autoencoder() -> keras.Model:
    """128 numbers through 8."""
    sizes = [64, 32, 8, 32, 64]
    layers = [keras.layers.Dense(size, activation="relu", name=f"dense{number}") for number, size in enumerate(sizes)]
    return keras.Sequential([keras.Input((128,), name="spectrum"), *layers, keras.layers.Dense(128, name="restored")])


def denoiser() -> keras.Model:
    """Three convolutions that compute what to take away from the image."""
    image = keras.Input((32, 32, 3), name="image")
    x = scaled = keras.layers.Rescaling(1 / 255, name="scale")(image)
    for number in range(2):
        x = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name=f"conv{number}")(x)
    x = keras.layers.Conv2D(3, 3, padding="same", name="noise")(x)
    return keras.Model(image, keras.layers.Add(name="restored")([scaled, x]))


NETWORKS = {"autoencoder": (autoencoder, spectra, 10), "denoiser": (denoiser, noisy_images, 1)}


def decibels(truth: np.ndarray, outputs: np.ndarray) -> float:
    """Signal-to-noise ratio."""
    return float(10 * np.log10(np.sum(truth.astype(np.float64) ** 2) / np.sum((truth.astype(np.float64) - outputs) ** 2)))


def conversions(model: keras.Model, chosen_with: np.ndarray) -> Iterator[tuple[str, bytes, Converter]]:
    """The files of a model, converted without formats of their own."""
    for what, options in CONVERSIONS.items():
        converter = Converter.from_keras_model(model)
        converter.representative_dataset = chosen_with
        for name, value in options.items():
            setattr(converter, name, value)
        yield what, converter.convert(), converter


def trained(model: keras.Model, data: Data, epochs: int, rate: float) -> Iterator[tuple[str, bytes, Converter]]:
    """The file of the network by recipe "fixed4", trained on from the float network."""
    x, y = data
    quantized = kerasq.quantize_model(model, x[:CHOSEN_WITH], "fixed4")
    steps = epochs * len(x) // BATCH
    warmup = steps // 20
    schedule = keras.optimizers.schedules.CosineDecay(0.0, steps - warmup, warmup_target=rate, warmup_steps=warmup)
    quantized.compile(keras.optimizers.Adam(schedule), "mse", steps_per_execution=STEPS)
    quantized.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=2)
    converter = Converter.from_keras_model(quantized)
    yield "fixed4, trained", converter.convert(), converter


def main(_) -> None:
    logging.set_verbosity(logging.WARNING)
    output = pathlib.Path(FLAGS.output)
    output.mkdir(parents=True, exist_ok=True)
    for name in FLAGS.networks:
        make, data, passes = NETWORKS[name]
        keras.utils.set_random_seed(1)
        model = make()
        (x, y), (test_x, truth) = data(FLAGS.examples, seed=1), data(1024, seed=2)
        model.compile(keras.optimizers.Adam(2e-3), "mse", steps_per_execution=STEPS)
        model.fit(x, y, batch_size=BATCH, epochs=passes * FLAGS.epochs, verbose=2)
        model.save(output / f"{name}.keras")
        wanted = model.predict(test_x, verbose=0)
        print(f"\n{name}, 1,024 examples      against float   against truth   model bytes   arena bytes")
        print(f"  {'float':32}{'':9}{decibels(truth, wanted):12.1f} dB")
        epochs = passes * FLAGS.epochs
        on = trained(model, (x, y), epochs, RATES[name]) if name in RATES else ()
        for what, content, converter in itertools.chain(conversions(model, x[:CHOSEN_WITH]), on):
            outputs = kerasq.Interpreter(model_content=content).predict(test_x)
            ratios = f"{decibels(wanted, outputs):7.1f} dB {decibels(truth, outputs):11.1f} dB"
            print(f"  {what:32}{ratios}{len(content):14,}{converter.report.arena_bytes:14,}", flush=True)
        print()


if __name__ == "__main__":
    app.run(main)
