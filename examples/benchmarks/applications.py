"""What conversion keeps of keras.applications' networks, with random weights, beside LiteRT's int8.

    python examples/benchmarks/applications.py
    python examples/benchmarks/applications.py --only MobileNetV2 --only ResNet50 --seeds 3

prints, for the smallest network of each family, how far the logits of both files are from Keras' own: signal to noise of the
median of images that neither saw before, and over all values of all of them, on average of the seeds of weights and images. (One
image that drives a network beyond everything that was observed can have hundreds of times the energy of any other: the second
figure is then that image's alone.) kerasq converts as by default; both tools get the same network and the same examples. Images
are small (64 to 96 pixels), nothing is downloaded, and each network has a process of its own: one that fails is a row that says
so. A network takes one to five minutes.

Statistics of batch normalization are those of a batch, as a training would leave them: with --nostatistics they are as Keras
makes them, 0 and 1, and values may grow or vanish from layer to layer. (What ConvNeXt's blocks add starts at a millionth: of its
figures they have no part.)
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import keras
import numpy as np
from absl import app, flags, logging

import kerasq
from kerasq.format import loads
from kerasq.text import table

sys.path.append(str(pathlib.Path(__file__).parents[1] / "cifar10"))
from litert_file import int8_file, int8_outputs

FLAGS = flags.FLAGS
CALIBRATION, TEST, CLASSES = 32, 64, 100
SIZES = {
    **dict.fromkeys(("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "NASNetMobile", "EfficientNetB0"), 96),
    **dict.fromkeys(("EfficientNetV2B0", "ResNet50", "ResNet50V2", "DenseNet121", "VGG16", "ConvNeXtTiny"), 64),
    **dict.fromkeys(("Xception", "InceptionV3", "InceptionResNetV2"), 80),
}
RATIOS = {
    "kerasq": "kerasq, median image",
    "litert": "LiteRT int8, median image",
    "kerasq_all": "kerasq, all values",
    "litert_all": "LiteRT int8, all values",
}
COUNTS = {"parameters": "parameters", "bytes": "bytes", "litert_bytes": "LiteRT's bytes", "arena": "arena"}

Row = dict[str, float]


def network(name: str, seed: int = 0, statistics: bool = True) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A network, examples that formats are chosen with, and others."""
    keras.utils.set_random_seed(seed)
    size = SIZES[name]
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=CLASSES, classifier_activation=None
    )
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (CALIBRATION + TEST, 8, 8, 3)).astype(np.float32)
    smooth = keras.ops.convert_to_numpy(keras.ops.image.resize(coarse, (size, size)))
    images = np.clip(np.round(smooth + rng.normal(0, 10, smooth.shape)), 0, 255).astype(np.float32)
    if not any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers):
        images = images / 127.5 - 1  # what most of these networks are trained with
    if statistics:
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.0
        model(images[:CALIBRATION], training=True)
    return model, images[:CALIBRATION], images[CALIBRATION:]


def decibels(expected: np.ndarray, computed: np.ndarray) -> tuple[float, float]:
    """Signal to noise: the median of the images', and over all values."""
    signal, noise = (np.sum(np.square(values, dtype=np.float64), axis=1) for values in (expected, expected - computed))
    return float(np.median(10 * np.log10(signal / noise))), float(10 * np.log10(signal.sum() / noise.sum()))


def compared(name: str, seed: int = 0, statistics: bool = True, per_channel: bool | None = None) -> Row:
    """What is measured of a network: ratios in dB, and numbers of bytes."""
    model, examples, others = network(name, seed, statistics)
    expected = model.predict(others, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        ours = kerasq.convert(folder, representative_dataset=examples, per_channel=per_channel)
        theirs = int8_file(folder, examples)
    median, over_all = decibels(expected, kerasq.Interpreter(model_content=ours).predict(others))
    litert_median, litert_over_all = decibels(expected, int8_outputs(theirs, others))
    return {
        "kerasq": median,
        "litert": litert_median,
        "kerasq_all": over_all,
        "litert_all": litert_over_all,
        "parameters": model.count_params(),
        "bytes": len(ours),
        "litert_bytes": len(theirs),
        "arena": loads(ours).arena_bytes,
    }


def measured(name: str, seed: int) -> Row | None:
    """`compared` in a process of its own; None where that fails, which then has told why."""
    command = [sys.executable, __file__, f"--only={name}", f"--first_seed={seed}", "--row"]
    command.append("--statistics" if FLAGS.statistics else "--nostatistics")
    if FLAGS.per_channel is not None:
        command.append("--per_channel" if FLAGS.per_channel else "--noper_channel")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def line(name: str, rows: list[Row | None]) -> list[str]:
    """A network's line of the table: the mean of each ratio over the seeds, with the least and the largest."""
    complete = [row for row in rows if row is not None]
    if len(complete) < len(rows):
        return [name, *("failed" for _ in (*RATIOS, *COUNTS))]
    spans = ([row[key] for row in complete] for key in RATIOS)
    ratios = [f"{np.mean(span):.1f}" + (f" ({min(span):.1f} .. {max(span):.1f})" if len(span) > 1 else "") for span in spans]
    return [name, *ratios, *(f"{complete[0][key]:,}" for key in COUNTS)]


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"networks go with --only. Received: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    seeds = range(FLAGS.first_seed, FLAGS.first_seed + FLAGS.seeds)
    if FLAGS.row:
        print(json.dumps(compared(FLAGS.only[0], FLAGS.first_seed, FLAGS.statistics, FLAGS.per_channel)))
        return
    lines = []
    for name in FLAGS.only or SIZES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        lines.append(line(name, [measured(name, seed) for seed in seeds]))
    columns = ("network", *(f"{what}, dB" for what in RATIOS.values()), *COUNTS.values())
    print(table(columns, lines, right=columns[1:]))


if __name__ == "__main__":
    flags.DEFINE_multi_enum("only", None, list(SIZES), "Networks to compare; all of them unless given.")
    flags.DEFINE_integer("seeds", 1, "How many times each network is made, with other weights and images.", lower_bound=1)
    flags.DEFINE_integer("first_seed", 0, "The first of these seeds.", lower_bound=0)
    flags.DEFINE_boolean("statistics", True, "Statistics of batch normalization from a batch; else as Keras makes them.")
    flags.DEFINE_boolean("per_channel", None, "Multipliers for all kernels, or for none; else as by default.")
    flags.DEFINE_boolean("row", False, "Print what is measured of the first network alone, as JSON.")
    app.run(main)
