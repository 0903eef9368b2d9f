"""The float network that a .kq file of these examples was made from, as near as the file tells it: a start for training.

    python examples/cifar10/recover.py --output work/recovered.keras
    python examples/cifar10/train.py --start_from work/recovered.keras --epochs 3 --peak_rate 0.02 --output work/float

In a .kq file each batch normalization is part of the convolution before it: y = multiplier * (kernel * x) + bias, the multiplier
1 where there is none. Here it gets the mean m and the variance v that kernel * x has over training images, and gamma =
multiplier * sqrt(v + epsilon), beta = bias + multiplier * m, so that the network computes what the file says and can be trained
on as if it had never been folded. Binary kernels stay what they are, so that the converter finds the same signs in them:

    python examples/cifar10/recover.py --model examples/cifar10/models/resnet23_binary_parameters.kq --output work/binary.keras
    python examples/cifar10/recover.py --model examples/cifar10/models/mobilenet.kq --output work/mobilenet.keras
"""

import keras
import numpy as np
from absl import app, flags

import kerasq
from kerasq import format as kq
from kerasq.datasets import cifar10

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "model",
    "examples/cifar10/models/resnet23_parameters.kq",
    "A ResNet23 or MobileNet; parameters are nearest to what they were where buffers are FLOAT32.",
)
flags.DEFINE_integer("images", 1024, "Training images over which means and variances are taken.", lower_bound=1)
flags.DEFINE_string("data_dir", None, "Folder of CIFAR-10 (see kerasq.datasets.cifar10).")
flags.DEFINE_string("output", None, "The .keras file to write.", required=True)


def unfold(model: keras.Model, values: dict[str, np.ndarray], images: np.ndarray) -> None:
    """Gives a Keras network the values of a file, by tensor name, and normalizations that leave them what they are."""
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    convolutions = [layer for layer in model.layers if isinstance(layer, kinds)]

    def normalize(layer: keras.Layer, mean: np.ndarray, variance: np.ndarray) -> None:
        normalization = model.get_layer(f"{layer.name}_bn")
        multiplier, bias = values.get(f"{layer.name}/multiplier", 1.0), values[f"{layer.name}/bias"]
        if layer is convolutions[0]:
            multiplier = multiplier * 255  # the file's first layer takes in the scale of the pixels
        gamma = multiplier * np.sqrt(variance + normalization.epsilon)
        normalization.set_weights([gamma, bias + multiplier * mean, mean, variance])

    for layer in convolutions:
        kernel = values[f"{layer.name}/kernel"].transpose(1, 2, 3, 0)  # a depthwise one is (height, width, 1, channels) now
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        layer.set_weights([kernel.swapaxes(2, 3) if depthwise else kernel])
        normalize(layer, np.zeros(kernel.shape[3]), np.ones(kernel.shape[3]))
    model.get_layer("affine").set_weights([values["affine/kernel"].T, values["affine/bias"]])

    for layer in convolutions:
        outputs = keras.Model(model.inputs, layer.output).predict(images, batch_size=128, verbose=0)
        normalize(layer, outputs.mean((0, 1, 2), dtype=np.float64), outputs.var((0, 1, 2), dtype=np.float64))


def main(_) -> None:
    file = kq.load(FLAGS.model)
    values = {tensor.name: tensor.values for tensor in file.tensors if tensor.is_constant}
    (images, _), _ = cifar10.load_data(FLAGS.data_dir)
    model = kerasq.models.mobilenet() if "conv2_depthwise/kernel" in values else kerasq.models.resnet23()
    unfold(model, values, images[: FLAGS.images])
    outputs = model.predict(images[-1000:], batch_size=200, verbose=0)
    expected = kerasq.Interpreter(FLAGS.model).predict(images[-1000:])
    same = np.mean(outputs.argmax(1) == expected.argmax(1))
    print(f"same class as the file for {same:.1%} of 1,000 images, largest difference {np.abs(outputs - expected).max():.2g}")
    model.save(FLAGS.output)


if __name__ == "__main__":
    app.run(main)
