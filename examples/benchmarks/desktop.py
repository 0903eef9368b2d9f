"""Times of the benchmarks' networks on this machine, beside LiteRT (XNNPACK) on the same networks in int8.

    pip install ".[bench]"
    python examples/benchmarks/desktop.py --output work/desktop
    python examples/benchmarks/desktop.py --output work/desktop --models work/benchmarks

builds the networks of standins.py and ResNet23, in float and with binary weights, converts each as by default and into an int8
.tflite file, leaves NAME.kq and NAME.tflite in the folder, and ends with

    kerasq-bench NAME.kq ... --peer NAME.tflite ...

one thread, 100 pairs. Weights are random, with statistics in the batch normalizations as if they had been trained: good for times
only. With --models, the networks of standins.py are those that make.py left in that folder. What is in the folder
already is not made again. Two to four minutes.
"""

import pathlib
import sys
import tempfile

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging
from standins import NETWORKS

import kerasq
from kerasq.commands import bench
from kerasq.files import write_whole

FLAGS = flags.FLAGS
EXAMPLES = 100
RESNETS = {"resnet23": "float", "resnet23_binary": "binary_weight"}
NAMES = [*NETWORKS, *RESNETS]


def untrained(model: keras.Model) -> keras.Model:
    """The model with batch normalizations of other sizes in every channel."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 1.5, layer.moving_variance.shape))
    return model


def network(name: str) -> tuple[keras.Model, np.ndarray]:
    """A network and representative examples."""
    keras.utils.set_random_seed(0)
    if name in RESNETS:
        pixels = np.random.default_rng(0).integers(0, 256, (EXAMPLES, 32, 32, 3))
        return untrained(kerasq.models.resnet23(RESNETS[name])), pixels.astype(np.float32)
    if FLAGS.models:
        folder = pathlib.Path(FLAGS.models)
        return keras.models.load_model(folder / f"{name}.keras", compile=False), np.load(folder / f"{name}.npy")
    return untrained(NETWORKS[name].build()), NETWORKS[name].data(EXAMPLES, 0)[0]


def int8(model: keras.Model, examples: np.ndarray) -> bytes:
    """The .tflite file of a model: int8 throughout, ranges from the examples."""
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        converter.representative_dataset = lambda: ([example[np.newaxis]] for example in examples[:EXAMPLES])
        return converter.convert()


def make(name: str, files: tuple[pathlib.Path, pathlib.Path]) -> None:
    """Writes the two files of a network."""
    model, examples = network(name)
    examples = examples.astype(np.float32)
    write_whole(files[0], kerasq.convert(model, representative_dataset=examples))
    write_whole(files[1], int8(model, examples))


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"networks go with --only. Received: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    folder = pathlib.Path(FLAGS.output)
    folder.mkdir(parents=True, exist_ok=True)
    pairs = []
    for name in FLAGS.only or NAMES:
        files = folder / f"{name}.kq", folder / f"{name}.tflite"
        if not all(file.exists() for file in files):
            print(f"{name} ...", file=sys.stderr, flush=True)
            make(name, files)
        pairs.append(tuple(map(str, files)))
    models, peers = zip(*pairs, strict=True)
    options = [f"--isa={FLAGS.isa}"] if FLAGS.isa else []
    return bench.main(["kerasq-bench", *models, "--peer", *peers, f"--runs={FLAGS.pairs // 5}", *options])


if __name__ == "__main__":
    flags.DEFINE_string("output", None, "Folder for the files; made if missing.", required=True)
    flags.DEFINE_string("models", None, "Folder of make.py, whose trained networks to take.")
    flags.DEFINE_multi_enum("only", None, NAMES, "Networks to compare; all of them unless given.")
    flags.DEFINE_string("isa", None, "Kernels of kerasq: portable, avx2 or avx512vnni; the fastest unless given.")
    flags.DEFINE_integer("pairs", 100, "Pairs of samples, a multiple of 5.", lower_bound=5)
    app.run(main)
