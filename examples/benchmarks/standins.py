"""Networks of the shapes that the field compares itself with, and generated examples for them: no download.

Four are MLPerf Tiny's (image classification, visual wake words, keyword spotting, anomaly detection), one its newer streaming
wake word; operators, shapes and multiply-accumulates are those of the originals, weights are not: `trained` trains them for some
seconds, so that a conversion has something to lose.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import layers

TRAIN, CHOSEN_WITH, TEST = 1024, 256, 500  # examples to train with, those of them that formats are chosen with, and to test
EPOCHS, BATCH, RATE = 4, 32, 0.005

Data = tuple[np.ndarray, np.ndarray]


def waves(shape: tuple[int, ...], classes: int, noise: float = 2.0, pixels: bool = False) -> Callable[[int, int], Data]:
    """Maker of examples in two dimensions: each class has a wave of its own direction, length and colour, amid noise.

    Args:
        shape: Of an example, (height, width, channels).
        noise: Standard deviation of it, beside waves of 0.5 to 1.5.
        pixels: Whether values are those of a camera, integers of 0 to 255, and not around zero.
    """
    height, width, channels = shape
    rules = np.random.default_rng(7)
    colours = rules.normal(size=(classes, channels))
    colours /= np.sqrt(np.mean(colours**2, axis=1, keepdims=True))
    directions = rules.uniform(-0.4, 0.4, (classes, 2))  # periods a step
    rows, columns = np.mgrid[:height, :width]

    def make(count: int, seed: int) -> Data:
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, classes, count)
        down, right = directions[labels].T[..., None, None]
        phase, strength = rng.uniform(size=(2, count, 1, 1))
        wave = (0.5 + strength) * np.cos(2 * np.pi * (rows * down + columns * right + phase))
        values = wave[..., None] * colours[labels][:, None, None] + rng.normal(0, noise, (count, *shape))
        return (np.clip(np.round(128 + 90 / (1 + noise) * values), 0, 255) if pixels else values).astype(np.float32), labels

    return make


def machine_sounds(count: int, seed: int) -> Data:
    """Numbers that six causes explain, 640 an example; labels are 1 where one more cause is at work."""
    rules = np.random.default_rng(7).normal(size=(7, 640)) / np.sqrt(6)
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 2) * (seed != TRAIN_SEED)  # a training hears sound machines only
    causes = rng.normal(size=(count, 7)) * np.append(np.ones((count, 6)), labels[:, None], axis=1)
    return (causes @ rules + rng.normal(0, 0.1, (count, 640))).astype(np.float32), labels


TRAIN_SEED, TEST_SEED = 1, 2


def _normalized(x, relu: bool = True):
    x = layers.BatchNormalization(momentum=0.8)(x)
    return layers.ReLU()(x) if relu else x


def _classified(image, x, classes: int) -> keras.Model:
    """The network of a map: its mean, a Dense layer and softmax."""
    features = layers.Flatten()(layers.AveragePooling2D(x.shape[1:3])(x))
    return keras.Model(image, layers.Softmax()(layers.Dense(classes, name="head")(features)))


def visual_wake_words() -> keras.Model:
    """MobileNet of width 0.25 for images of 96x96: 30 operators."""
    image = keras.Input((96, 96, 3), name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = _normalized(layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x))
    outputs_and_strides = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)] + [(128, 1)] * 5 + [(256, 2), (256, 1)]
    for outputs, stride in outputs_and_strides:
        x = _normalized(layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(x))
        x = _normalized(layers.Conv2D(outputs, 1, use_bias=False)(x))
    return _classified(image, x, 2)


def keyword_spotting() -> keras.Model:
    """DS-CNN of 64 channels over 25x5: five blocks, the first of them a convolution."""
    spectrogram = keras.Input((49, 10, 1), name="spectrogram")
    x = _normalized(layers.Conv2D(64, (10, 4), strides=2, padding="same")(spectrogram))
    for _ in range(4):
        x = _normalized(layers.DepthwiseConv2D(3, padding="same")(x))
        x = _normalized(layers.Conv2D(64, 1)(x))
    return _classified(spectrogram, x, 12)


def anomaly_detection() -> keras.Model:
    """Ten Dense layers: 640 numbers through 8."""
    frames = x = keras.Input((640,), name="frames")
    for size in [128] * 4 + [8] + [128] * 4:
        x = _normalized(layers.Dense(size)(x))
    return keras.Model(frames, layers.Dense(640, name="head")(x))


def streaming_wake_word() -> keras.Model:
    """Separable convolutions over time alone: 30 steps of 40 numbers."""
    x = spectrogram = keras.Input((30, 1, 40), name="spectrogram")
    for outputs, steps in [(128, 3), (128, 5), (128, 10), (32, 15)]:
        x = layers.DepthwiseConv2D((steps, 1))(x)
        x = _normalized(layers.Conv2D(outputs, 1)(x))
    return _classified(spectrogram, x, 3)


def resnet8() -> keras.Model:
    """Three residual blocks of 16, 32 and 64 channels."""
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = _normalized(layers.Conv2D(16, 3, padding="same")(x))
    for channels, stride in [(16, 1), (32, 2), (64, 2)]:
        y = _normalized(layers.Conv2D(channels, 3, strides=stride, padding="same")(x))
        y = _normalized(layers.Conv2D(channels, 3, padding="same")(y), relu=False)
        x = layers.Conv2D(channels, 1, strides=stride)(x) if stride > 1 else x
        x = layers.ReLU()(layers.Add()([x, y]))
    return _classified(image, x, 10)


@dataclasses.dataclass(frozen=True)
class Network:
    """A network of the benchmarks.

    Attributes:
        title: What it is, in words.
        build: The network with random weights.
        data: (count, seed) -> examples (count, ...) and labels (count,).
    """

    title: str
    build: Callable[[], keras.Model]
    data: Callable[[int, int], Data]

    def training(self) -> Data:
        return self.data(TRAIN, TRAIN_SEED)

    def representative(self) -> np.ndarray:
        """Examples that formats are chosen with, some of those for the training."""
        return self.training()[0][:CHOSEN_WITH]

    def test(self) -> Data:
        return self.data(TEST, TEST_SEED)


NETWORKS = {
    "resnet8": Network("image classification, ResNet-8", resnet8, waves((32, 32, 3), 10, 3.5, pixels=True)),
    "vww": Network("visual wake words, MobileNet 0.25 at 96x96", visual_wake_words, waves((96, 96, 3), 2, 2.5, pixels=True)),
    "kws": Network("keyword spotting, DS-CNN", keyword_spotting, waves((49, 10, 1), 12)),
    "ad": Network("anomaly detection, ten Dense", anomaly_detection, machine_sounds),
    "sww": Network("streaming wake word, 1-D DS-CNN", streaming_wake_word, waves((30, 1, 40), 3)),
}


def trained(network: Network, epochs: int = EPOCHS) -> keras.Model:
    """The network after a brief training; the same one every time on the same machine."""
    keras.utils.set_random_seed(1)
    model = network.build()
    examples, labels = network.training()
    regression = model.output.shape[-1] == examples[0].size
    rate = keras.optimizers.schedules.CosineDecay(RATE, epochs * -(-len(examples) // BATCH))
    model.compile(keras.optimizers.Adam(rate), "mse" if regression else "sparse_categorical_crossentropy")
    model.fit(examples, examples if regression else labels, BATCH, epochs, verbose=0)
    return model


def score(outputs: np.ndarray, examples: np.ndarray, labels: np.ndarray) -> float:
    """What the outputs are worth, in percent: right answers, or for an autoencoder the area under the ROC curve."""
    outputs = outputs.reshape(len(outputs), -1)
    if outputs.shape[1] != examples[0].size:
        return float(100 * np.mean(outputs.argmax(1) == labels))
    error = np.square(outputs - examples).sum(1)
    broken, sound = error[labels == 1], error[labels == 0]
    return float(100 * np.mean(broken[:, None] > sound))
