"""Trains a small MobileNet on generated images of shapes, in some minutes of one core; a second call resumes where it stopped.

    python examples/mobilenet/train.py --output work/mobilenet

Writes OUTPUT/model.keras, and OUTPUT/images.npy: images that were held out of the training, to choose formats with.
"""

import pathlib

import keras
import numpy as np
from absl import app, flags

import kerasq
from kerasq.datasets import shapes

FLAGS = flags.FLAGS
flags.DEFINE_integer("train", 20_000, "Images trained with.", lower_bound=1)
flags.DEFINE_integer("held_out", 1024, "Images beside them, written to OUTPUT/images.npy.", lower_bound=1)
flags.DEFINE_integer("epochs", 12, "Passes over the training images.", lower_bound=1)
flags.DEFINE_integer("batch_size", 128, "Images per step.", lower_bound=1)
flags.DEFINE_float("peak_rate", 0.1, "Learning rate at the start; it falls to zero as a cosine.")
flags.DEFINE_float("weight_decay", 5e-4, "Decoupled weight decay of SGD.")
flags.DEFINE_integer("seed", 1, "Seed of weights and order.")
flags.DEFINE_string("output", None, "Folder to write.", required=True)


def main(_) -> None:
    keras.utils.set_random_seed(FLAGS.seed)
    output = pathlib.Path(FLAGS.output)
    output.mkdir(parents=True, exist_ok=True)
    (images, labels), (test_images, test_labels) = shapes.load_data(train=FLAGS.train + FLAGS.held_out)
    np.save(output / "images.npy", images[FLAGS.train :])
    model = kerasq.models.mobilenet()
    rate = keras.optimizers.schedules.CosineDecay(FLAGS.peak_rate, FLAGS.epochs * -(-FLAGS.train // FLAGS.batch_size))
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9, weight_decay=FLAGS.weight_decay),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        images[: FLAGS.train],
        labels[: FLAGS.train],
        batch_size=FLAGS.batch_size,
        epochs=FLAGS.epochs,
        callbacks=[keras.callbacks.BackupAndRestore(output / "backup")],
        verbose=2,
    )
    model.save(output / "model.keras")
    _, accuracy = model.evaluate(test_images, test_labels, batch_size=500, verbose=0)
    print(f"test accuracy {accuracy:.4f} over {len(test_labels)} images")


if __name__ == "__main__":
    app.run(main)
