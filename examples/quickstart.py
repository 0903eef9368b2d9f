"""From nothing to a network without floating point, in three minutes and without a download.

    python examples/quickstart.py                                        # generated images of shapes
    python examples/quickstart.py --dataset cifar10 --data_dir DIRECTORY   # real ones
    python examples/quickstart.py --fast                                 # half a minute; its accuracy means nothing

Trains a small residual network with binary weights while `ActivationStatistics` watches its activations, exports a
SavedModel, converts that to one .kq file with 8-bit buffers, and compares the two on the test images. OUTPUT holds
model.keras, saved_model/, statistics/, settings.yaml (the formats chosen, ready to be edited), model.kq and, where matplotlib is
installed, two pictures.
"""

import io
import pathlib

from absl import app, flags

from kerasq.datasets import cifar10, shapes
from kerasq.files import write_whole
from kerasq.quiet import quiet_tensorflow

with quiet_tensorflow():
    import keras

    import kerasq
    from kerasq.callbacks import ActivationStatistics
    from kerasq.evaluation import evaluate, format_table

FLAGS = flags.FLAGS
flags.DEFINE_enum("dataset", "shapes", ["shapes", "cifar10"], "Images to train on.")
flags.DEFINE_string("data_dir", None, "Folder of CIFAR-10 (see kerasq.datasets.cifar10).")
flags.DEFINE_integer("epochs", 8, "Passes over the training images.", lower_bound=1)
flags.DEFINE_bool("fast", False, "Few images and two epochs: shows that everything works, not how well.")
flags.DEFINE_integer("seed", 1, "Seed of weights, order of images and generated images.")
flags.DEFINE_string("output", "quickstart", "Folder to write.")

BATCH_SIZE = 64
PEAK_RATE = 0.005


def load_images():
    """(x_train, y_train), (x_test, y_test): uint8 pixels and integer labels."""
    train, test = cifar10.load_data(FLAGS.data_dir) if FLAGS.dataset == "cifar10" else shapes.load_data(seed=FLAGS.seed)
    if FLAGS.fast:
        return tuple(part[:2000] for part in train), tuple(part[:500] for part in test)
    return train, test


def build_network(classes: int) -> keras.Model:
    """A residual network that takes raw pixels and gives logits; every convolution has weights +alpha and -alpha.

    Input shape: `(batch, 32, 32, 3)`. Output shape: `(batch, classes)`.
    """

    def convolution(x, filters, size, name, strides=1, activation=True):
        x = kerasq.BinaryWeightConv2D(filters, size, strides, padding="same", use_bias=False, name=name)(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
        return keras.layers.ReLU(name=f"{name}_relu")(x) if activation else x

    def unit(x, filters, name):
        h = convolution(x, filters, 3, f"{name}_conv1")
        h = convolution(h, filters, 3, f"{name}_conv2", activation=False)
        return keras.layers.ReLU(name=f"{name}_relu")(keras.layers.Add(name=f"{name}_add")([h, x]))

    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(image)
    x = convolution(x, 24, 5, "conv1", strides=2)
    x = convolution(x, 32, 3, "conv2")
    x = unit(x, 32, "unit1")
    x = keras.layers.MaxPooling2D(2, name="pool")(x)
    x = convolution(x, 64, 3, "conv3")
    x = unit(x, 64, "unit2")
    x = keras.layers.GlobalAveragePooling2D(name="average_pool")(x)
    return keras.Model(image, keras.layers.Dense(classes, name="logits")(x), name="quickstart")


def train(model: keras.Model, images, labels, epochs: int, statistics: ActivationStatistics) -> None:
    """Adam with a warm-up over a tenth of the steps, then a cosine down to zero."""
    steps = -(-len(images) // BATCH_SIZE) * epochs
    warmup = max(1, steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - warmup, warmup_target=PEAK_RATE, warmup_steps=warmup)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.fit(images, labels, BATCH_SIZE, epochs, callbacks=[statistics])


def convert(saved_model: pathlib.Path, statistics: ActivationStatistics, output: pathlib.Path) -> pathlib.Path:
    """Writes model.kq and settings.yaml, and prints the conversion report."""
    converter = kerasq.Converter.from_saved_model(saved_model)
    converter.statistics = statistics.log_dir
    write_whole(output / "model.kq", converter.convert())
    write_whole(output / "settings.yaml", converter.settings_template().encode())
    print(converter.report.to_text())
    return output / "model.kq"


def draw(statistics: ActivationStatistics, path: pathlib.Path, output: pathlib.Path) -> None:
    """Writes ranges.png and buffers.png where matplotlib is installed."""
    from kerasq.plots import plot_buffers, plot_ranges

    model = kerasq.format.load(path)
    try:
        figures = {"ranges.png": plot_ranges(statistics.statistics, model), "buffers.png": plot_buffers(model)}
    except ImportError as error:
        print(f"no pictures: {error}")
        return
    for name, figure in figures.items():
        picture = io.BytesIO()
        figure.savefig(picture)
        write_whole(output / name, picture.getvalue())
    print(f"pictures: {', '.join(str(output / name) for name in figures)}")


def main(_) -> None:
    keras.utils.set_random_seed(FLAGS.seed)
    output = pathlib.Path(FLAGS.output)
    output.mkdir(parents=True, exist_ok=True)
    (x_train, y_train), (x_test, y_test) = load_images()
    model = build_network(classes=10)
    statistics = ActivationStatistics(output / "statistics", x_train[:256])
    train(model, x_train, y_train, 2 if FLAGS.fast else FLAGS.epochs, statistics)
    model.save(output / "model.keras")
    model.export(output / "saved_model", verbose=False)
    path = convert(output / "saved_model", statistics, output)
    print(format_table(evaluate([output / "model.keras", path], x_test, y_test)))
    if FLAGS.fast:
        print("--fast: two epochs on 2,000 images are too few to learn from; these accuracies mean nothing")
    draw(statistics, path, output)


if __name__ == "__main__":
    with quiet_tensorflow():
        app.run(main)
