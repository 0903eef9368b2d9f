"""The float ResNet23 that a .kq file was made from, as near as the file tells it: a start for training that takes minutes.

    python examples/cifar10/recover.py --output work/recovered.keras
    python examples/cifar10/train.py --start_from work/recovered.keras --epochs 3 --peak_rate 0.02 --output work/float

In a .kq file each batch normalization is part of the convolution before it: y = kernel * x + bias. Here it gets the mean m and
the variance v that the convolution's outputs have over training images, and gamma = sqrt(v + epsilon), beta = bias + m, so that
the network computes what the file says and can be trained on as if it had never been folded.
"""

import keras
import numpy as np
from absl import app, flags

import kerasq
from kerasq import format as kq
from kerasq.datasets import cifar10

FLAGS = flags.FLAGS
flags.DEFINE_string("model", "examples/cifar10/models/resnet23_parameters.kq", "A ResNet23 without multipliers.")
flags.DEFINE_integer("images", 1024, "Training images over which means and variances are taken.", lower_bound=1)
flags.DEFINE_string("data_dir", None, "Folder of CIFAR-10 (see kerasq.datasets.cifar10).")
flags.DEFINE_string("output", None, "The .keras file to write.", required=True)


def unfold(model: keras.Model, values: dict[str, np.ndarray], images: np.ndarray) -> None:
    """Gives a Keras ResNet23 the values of a file, by tensor name, and normalizations that leave them what they are."""
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    for layer in convolutions:
        normalization = model.get_layer(f"{layer.name}_bn")
        one = np.ones(layer.filters, np.float32)
        layer.set_weights([values[f"{layer.name}/kernel"].transpose(1, 2, 3, 0)])
        gamma = one * np.sqrt(1 + normalization.epsilon)
        normalization.set_weights([gamma, values[f"{layer.name}/bias"], 0 * one, one])
    model.get_layer("affine").set_weights([values["affine/kernel"].T, values["affine/bias"]])

    for layer in convolutions:
        normalization = model.get_layer(f"{layer.name}_bn")
        outputs = keras.Model(model.inputs, layer.output).predict(images, batch_size=128, verbose=0)
        mean, variance = outputs.mean((0, 1, 2), dtype=np.float64), outputs.var((0, 1, 2), dtype=np.float64)
        gamma = np.sqrt(variance + normalization.epsilon)
        normalization.set_weights([gamma, values[f"{layer.name}/bias"] + mean, mean, variance])


def main(_) -> None:
    file = kq.load(FLAGS.model)
    values = {tensor.name: tensor.values for tensor in file.tensors if tensor.is_constant}
    values["conv1/kernel"] = values["conv1/kernel"] * 255  # the file's kernel takes in the scale of the pixels
    (images, _), _ = cifar10.load_data(FLAGS.data_dir)
    model = kerasq.models.resnet23()
    unfold(model, values, images[: FLAGS.images])
    found = model.predict(images[-1000:], batch_size=200, verbose=0)
    expected = kerasq.Interpreter(FLAGS.model).predict(images[-1000:])
    same = np.mean(found.argmax(1) == expected.argmax(1))
    print(f"same class as the file for {same:.1%} of 1,000 images, largest difference {np.abs(found - expected).max():.2g}")
    model.save(FLAGS.output)


if __name__ == "__main__":
    app.run(main)
