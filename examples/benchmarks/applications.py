"""What conversion keeps of keras.applications' networks, with random weights, beside LiteRT's int8.

    python examples/benchmarks/applications.py
    python examples/benchmarks/applications.py --only MobileNetV2 --only ResNet50

prints, for the smallest network of each family, how far the logits of both files are from Keras' own: signal to noise over
examples that neither saw before. Weights are random, statistics of batch normalization those of a batch, images small (64 to 96
pixels): nothing is downloaded. Each takes one to five minutes. ConvNeXt is not there: it has layer normalization.
"""

import pathlib
import sys

import keras
import numpy as np
from absl import app, flags, logging

import kerasq
from kerasq.text import table

sys.path.append(str(pathlib.Path(__file__).parents[1] / "cifar10"))
from litert_file import int8_file_of, int8_outputs

FLAGS = flags.FLAGS
CALIBRATION, TEST, CLASSES = 32, 16, 100
SIZES = {
    **dict.fromkeys(("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "NASNetMobile", "EfficientNetB0"), 96),
    **dict.fromkeys(("EfficientNetV2B0", "ResNet50", "ResNet50V2", "DenseNet121", "VGG16"), 64),
    **dict.fromkeys(("Xception", "InceptionV3", "InceptionResNetV2"), 80),
}


def network(name: str) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A network, examples that formats are chosen with, and others."""
    keras.utils.set_random_seed(0)
    size = SIZES[name]
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=CLASSES, classifier_activation=None
    )
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (CALIBRATION + TEST, 8, 8, 3)).astype(np.float32)
    smooth = keras.ops.convert_to_numpy(keras.ops.image.resize(coarse, (size, size)))
    images = np.clip(np.round(smooth + rng.normal(0, 10, smooth.shape)), 0, 255).astype(np.float32)
    if not any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers):
        images = images / 127.5 - 1  # what most of these networks are trained with
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(images[:CALIBRATION], training=True)  # statistics, without which values would grow or vanish from layer to layer
    return model, images[:CALIBRATION], images[CALIBRATION:]


def decibels(expected: np.ndarray, computed: np.ndarray) -> float:
    """Signal to noise, over all values."""
    return 10 * np.log10(np.sum(np.square(expected)) / np.sum(np.square(expected - computed)))


def compared(name: str) -> list[str]:
    """The row of a network."""
    model, examples, others = network(name)
    expected = model.predict(others, verbose=0)
    ours = kerasq.convert(model, representative_dataset=examples)
    theirs = int8_file_of(model, examples)
    ratios = (
        decibels(expected, kerasq.Interpreter(model_content=ours).predict(others)),
        decibels(expected, int8_outputs(theirs, others)),
    )
    sizes = (f"{len(content):,}" for content in (ours, theirs))
    size = "x".join(map(str, model.input_shape[1:3]))
    return [name, size, f"{model.count_params():,}", *(f"{ratio:.1f} dB" for ratio in ratios), *sizes]


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"networks go with --only. Received: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    rows = []
    for name in FLAGS.only or SIZES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows.append(compared(name))
        keras.backend.clear_session()
    columns = ("network", "image", "parameters", "kerasq", "LiteRT int8", "bytes", "LiteRT's bytes")
    print(table(columns, rows, right=columns[1:]))


if __name__ == "__main__":
    flags.DEFINE_multi_enum("only", None, list(SIZES), "Networks to compare; all of them unless given.")
    app.run(main)
