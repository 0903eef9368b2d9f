"""Trains ResNet23 in any layer family, or a MobileNet, on CIFAR-10, with checkpoints that a second call resumes.

    python examples/cifar10/train.py --layers float --epochs 12 --output work/float
    python examples/cifar10/train.py --layers binary_weight --start_from work/float/model.keras \
        --epochs 8 --peak_rate 0.05 --output work/binary_weight
    python examples/cifar10/train.py --network mobilenet --epochs 30 --output work/mobilenet
    python examples/cifar10/train.py --network mobilenet --start_from work/mobilenet/model.keras \
        --epochs 3 --peak_rate 0.05 --activity_penalty 3e-5 --output work/mobilenet_sparse

Writes OUTPUT/model.keras, OUTPUT/saved_model/, OUTPUT/statistics/ (what the converter reads) and OUTPUT/history.json.
The last 5,000 training images are held out (`--holdout`): formats and hyper-parameters may look at them, never at test
images.
"""

import json
import math
import pathlib

import keras
import numpy as np
from absl import app, flags

import kerasq
from kerasq.datasets import cifar10

FLAGS = flags.FLAGS
flags.DEFINE_enum("network", "resnet23", ["resnet23", "mobilenet"], "Architecture.")
flags.DEFINE_enum(
    "layers", "float", ["float", "binary_connect", "binary_weight", "fixed_point"], "Family of the convolutions of ResNet23."
)
flags.DEFINE_string("start_from", None, "A .keras file of the same network: its weights are the first values.")
flags.DEFINE_integer("epochs", 12, "Passes over the training images.", lower_bound=1)
flags.DEFINE_integer("batch_size", 128, "Images per step.", lower_bound=1)
flags.DEFINE_float("peak_rate", 0.2, "Learning rate after the warm-up.")
flags.DEFINE_float("weight_decay", 5e-4, "Decoupled weight decay of SGD.")
flags.DEFINE_float("activity_penalty", 0.0, "Factor of the ReLUs' outputs in the loss: more become zero.", lower_bound=0.0)
flags.DEFINE_integer("holdout", 5000, "Training images held out from the end.", lower_bound=0)
flags.DEFINE_integer("seed", 1, "Seed of weights, order and augmentation.")
flags.DEFINE_string("data_dir", None, "Folder of CIFAR-10 (see kerasq.datasets.cifar10).")
flags.DEFINE_string("output", None, "Folder to write.", required=True)


class Augmented(keras.utils.PyDataset):
    """Batches of images shifted by up to 4 pixels (zeros come in) and flipped with probability one half."""

    def __init__(self, images, labels, batch_size, seed):
        super().__init__()
        self.padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
        self.labels, self.batch_size = labels, batch_size
        self.size = images.shape[1]
        self.seed, self.epoch = seed, 0
        self._shuffle()

    def _shuffle(self):
        self.rng = np.random.default_rng((self.seed, self.epoch))
        self.order = self.rng.permutation(len(self.labels))

    def on_epoch_end(self):
        self.epoch += 1
        self._shuffle()

    def __len__(self):
        return len(self.labels) // self.batch_size

    def __getitem__(self, index):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        top, left = self.rng.integers(0, 9, (2, len(rows), 1))
        steps = np.arange(self.size)
        columns = np.where(self.rng.random((len(rows), 1)) < 0.5, steps[::-1], steps) + left
        images = self.padded[rows[:, None, None], (top + steps)[:, :, None], columns[:, None, :]]
        return images, self.labels[rows]


def network() -> keras.Model:
    if FLAGS.network == "resnet23":
        return kerasq.models.resnet23(FLAGS.layers)
    return kerasq.models.mobilenet()


def learning_rate(steps_per_epoch: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Linear warm-up over a tenth of the run, then a cosine down to zero."""
    steps = steps_per_epoch * FLAGS.epochs
    warmup = max(1, math.ceil(steps / 10))
    return keras.optimizers.schedules.CosineDecay(0.0, steps - warmup, warmup_target=FLAGS.peak_rate, warmup_steps=warmup)


def main(_) -> None:
    keras.utils.set_random_seed(FLAGS.seed)
    output = pathlib.Path(FLAGS.output)
    output.mkdir(parents=True, exist_ok=True)
    (images, labels), (test_images, test_labels) = cifar10.load_data(FLAGS.data_dir)
    keep = len(images) - FLAGS.holdout
    model = network()
    if FLAGS.start_from:
        model.set_weights(keras.models.load_model(FLAGS.start_from, compile=False).get_weights())
    for layer in model.layers:
        if FLAGS.activity_penalty and isinstance(layer, keras.layers.ReLU):
            layer.activity_regularizer = keras.regularizers.L1(FLAGS.activity_penalty)
    data = Augmented(images[:keep], labels[:keep], FLAGS.batch_size, FLAGS.seed)
    jit = False if FLAGS.network == "mobilenet" else "auto"  # XLA's depthwise convolutions take ten times as long on CPUs
    model.compile(
        keras.optimizers.SGD(learning_rate(len(data)), momentum=0.9, weight_decay=FLAGS.weight_decay),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=jit,
    )
    callbacks = [
        kerasq.callbacks.ActivationStatistics(output / "statistics", images[keep:][:512] if FLAGS.holdout else images[:512]),
        keras.callbacks.BackupAndRestore(output / "backup"),
        keras.callbacks.CSVLogger(output / "log.csv", append=True),
    ]
    validation = (images[keep:], labels[keep:]) if FLAGS.holdout else None
    history = model.fit(data, epochs=FLAGS.epochs, callbacks=callbacks, validation_data=validation, verbose=2)
    model.save(output / "model.keras")
    model.export(output / "saved_model")
    _, accuracy = model.evaluate(test_images, test_labels, batch_size=500, verbose=0)
    result = {"network": FLAGS.network, "layers": FLAGS.layers, "test_accuracy": accuracy, "history": history.history}
    (output / "history.json").write_text(json.dumps(result, indent=1))
    print(f"test accuracy {accuracy:.4f} over {len(test_labels)} images")


if __name__ == "__main__":
    app.run(main)
