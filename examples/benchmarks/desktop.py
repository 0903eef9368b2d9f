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

import faulthandler
import pathlib
import sys

import keras
import numpy as np
from absl import app, flags, logging
from standins import NETWORKS

import kerasq
from kerasq.commands import bench
from kerasq.files import write_whole

sys.path.append(str(pathlib.Path(__file__).parents[1] / "cifar10"))
from litert_file import int8_file_of, untrained

FLAGS = flags.FLAGS
EXAMPLES = 100
RESNETS = {"resnet23": "float", "resnet23_binary": "binary_weight"}
NAMES = [*NETWORKS, *RESNETS]


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


def make(name: str, files: tuple[pathlib.Path, pathlib.Path]) -> None:
    """Writes the two files of a network; LiteRT has no binary weights, and gets the latent ones."""
    model, examples = network(name)
    examples = examples.astype(np.float32)
    write_whole(files[0], kerasq.convert(model, representative_dataset=examples))
    write_whole(files[1], int8_file_of(kerasq.strip(model), examples[:EXAMPLES]))


def main(argv: list[str]) -> int:
    faulthandler.disable()  # absl's would take the signals by which avx2_only.c answers
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
