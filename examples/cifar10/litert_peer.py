"""Makes the int8 .tflite file that kerasq-bench --peer compares ResNet23 with.

    python examples/cifar10/litert_peer.py --model work/float/model.keras --output work/resnet23.tflite
    kerasq-bench examples/cifar10/models/resnet23.kq --peer work/resnet23.tflite

Full integer quantization: int8 inputs, outputs and everything in between, ranges from --count training images. Without --model
the network is untrained, with random statistics in its batch normalizations and random pixels as images: good for its time, not
for its scores.
"""

import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import kerasq
from kerasq.datasets import cifar10
from kerasq.files import write_whole

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, "SavedModel folder, .keras or .h5 file; an untrained ResNet23 unless given.")
flags.DEFINE_string("output", None, ".tflite file to write.", required=True)
flags.DEFINE_integer("count", 100, "Images that ranges are taken from.", lower_bound=1)
flags.DEFINE_string("data_dir", None, "Folder of CIFAR-10 (see kerasq.datasets.cifar10).")


def untrained() -> keras.Model:
    """ResNet23 with statistics as if it had been trained: of about the size of what each batch normalization gets."""
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    model = kerasq.models.resnet23("float")
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 1.5, layer.moving_variance.shape))
    return model


def representative_images() -> np.ndarray:
    """Training images, or random pixels for a network that never saw any."""
    if FLAGS.model is None:
        return np.random.default_rng(0).integers(0, 256, (FLAGS.count, 32, 32, 3)).astype(np.float32)
    (images, _), _ = cifar10.load_data(FLAGS.data_dir)
    return images[-FLAGS.count :].astype(np.float32)


def int8_file(saved_model: str, images: np.ndarray) -> bytes:
    """The .tflite file of a SavedModel."""
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images)
    return converter.convert()


def main(_) -> None:
    images = representative_images()
    with tempfile.TemporaryDirectory() as folder:
        saved_model = FLAGS.model
        if saved_model is None or not pathlib.Path(saved_model).is_dir():
            model = untrained() if saved_model is None else keras.models.load_model(saved_model, compile=False)
            model.export(folder, verbose=False)
            saved_model = folder
        content = int8_file(saved_model, images)
    write_whole(FLAGS.output, content)
    print(f"{FLAGS.output}: {len(content):,} bytes")


if __name__ == "__main__":
    app.run(main)
