"""Trains ResNet23 in any layer family, or a MobileNet, on CIFAR-10, with checkpoints that a second call resumes.

    python examples/cifar10/train.py --layers float --epochs 12 --output work/float
    python examples/cifar10/train.py --layers binary_weight --start_from work/float/model.keras \
        --epochs 8 --peak_rate 0.05 --output work/binary_weight
    python examples/cifar10/train.py --network mobilenet --epochs 30 --output work/mobilenet
    python examples/cifar10/train.py --network mobilenet --start_from work/mobilenet/model.keras \
        --epochs 3 --peak_rate 0.05 --activity_penalty 3e-5 --output work/mobilenet_sparse

It trains on any backend of Keras (KERAS_BACKEND=tensorflow, jax, torch); on JAX whole epochs are compiled (compiled.py). With
--teacher the network learns from another one's answers, too:

    KERAS_BACKEND=jax python examples/cifar10/train.py --layers ternary --start_from work/float/model.keras \
        --teacher work/float/model.keras --optimizer adam --peak_rate 1e-3 --batch_size 256 --epochs 104 --output work/ternary

Writes OUTPUT/model.keras, OUTPUT/examples.npy (images for the converter to choose formats with), OUTPUT/history.json, and on
other backends than JAX OUTPUT/statistics/; on TensorFlow OUTPUT/saved_model/, too. It ends by printing the command that converts.
Weights are the values that the network computes with in the end (kerasq.training.harden), statistics of batch normalization
those of these weights.
The last 5,000 training images are held out (`--holdout`): formats and hyper-parameters may look at them, never at test
images.
"""

import json
import math
import pathlib

import keras
import numpy as np
from absl import app, flags
from augmented import Augmented  # beside this file

import kerasq
from kerasq.datasets import cifar10
from kerasq_convert.quantization.recipes import RECIPES

FLAGS = flags.FLAGS
flags.DEFINE_enum("network", "resnet23", ["resnet23", "mobilenet"], "Architecture.")
flags.DEFINE_enum(
    "layers",
    "float",
    ["float", "binary_connect", "binary_weight", "ternary", "fixed4", "fixed_point"],
    "Family of the convolutions of ResNet23.",
)
flags.DEFINE_string("first", None, "Family of its first convolution, where that is another one.")
flags.DEFINE_string("recipe", None, "In place of `--layers`: a recipe of quantize_model, or the quantizer of all kernels.")
flags.DEFINE_bool("fold_batch_norm", False, "Whether that model has normalizations in its kernels, and no multipliers.")
flags.DEFINE_string("teacher", None, "A .keras file of a network to learn from, by distillation.")
flags.DEFINE_float("temperature", 3.0, "Of the distillation.", lower_bound=0.0)
flags.DEFINE_float("share", 0.9, "Of the teacher in the loss.", lower_bound=0.0, upper_bound=1.0)
flags.DEFINE_enum("optimizer", "sgd", ["sgd", "adam"], "SGD with momentum 0.9 and decoupled weight decay, or Adam without any.")
flags.DEFINE_integer("hole", 0, "Side of the square cut out of each image, at a random place.", lower_bound=0)
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


def network(examples: np.ndarray) -> keras.Model:
    """The network to train; by a recipe with formats that suit `examples`."""
    mobile = FLAGS.network == "mobilenet"
    model = kerasq.models.mobilenet() if mobile else kerasq.models.resnet23(FLAGS.layers, first=FLAGS.first)
    if FLAGS.start_from:
        model.set_weights(keras.models.load_model(FLAGS.start_from, compile=False).get_weights())
        if FLAGS.layers == "binary_connect":
            take_alphas_into_statistics(model)
    for layer in model.layers:
        if FLAGS.activity_penalty and isinstance(layer, keras.layers.ReLU):
            layer.activity_regularizer = keras.regularizers.L1(FLAGS.activity_penalty)
    if FLAGS.recipe:
        recipe = FLAGS.recipe if FLAGS.recipe in RECIPES else {"*": FLAGS.recipe}
        return kerasq.quantize_model(model, examples, recipe, fold_batch_norm=FLAGS.fold_batch_norm)
    return model


def take_alphas_into_statistics(model: keras.Model) -> None:
    """Signs alone are alpha = mean |W| times smaller than what a network with factors computed: so are mean and deviation."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            alpha = np.abs(keras.ops.convert_to_numpy(layer.kernel)).mean((0, 1, 2))
            gamma, beta, mean, variance = model.get_layer(f"{layer.name}_bn").get_weights()
            model.get_layer(f"{layer.name}_bn").set_weights([gamma, beta, mean / alpha, variance / alpha**2])


def optimizer(steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Its rate: a linear warm-up over a tenth of the run, then a cosine down to zero."""
    steps = steps_per_epoch * FLAGS.epochs
    warmup = max(1, math.ceil(steps / 10))
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - warmup, warmup_target=FLAGS.peak_rate, warmup_steps=warmup)
    if FLAGS.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    return keras.optimizers.SGD(rate, momentum=0.9, weight_decay=FLAGS.weight_decay)


def train(model: keras.Model, images: np.ndarray, labels: np.ndarray, validation, output: pathlib.Path) -> dict[str, list[float]]:
    """Trains the compiled model, by whole compiled epochs where the backend is JAX; the history."""
    if keras.backend.backend() == "jax":
        return train_compiled(model, images, labels, output)
    data = Augmented(images, labels, FLAGS.batch_size, FLAGS.seed, FLAGS.hole)
    examples = images[:512] if validation is None else validation[0][:512]
    callbacks = [
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: data.begin(epoch)),
        kerasq.callbacks.ActivationStatistics(output / "statistics", examples),
        keras.callbacks.BackupAndRestore(output / "backup"),
        keras.callbacks.CSVLogger(output / "log.csv", append=True),
    ]
    return model.fit(data, epochs=FLAGS.epochs, callbacks=callbacks, validation_data=validation, verbose=2).history


def train_compiled(model: keras.Model, images: np.ndarray, labels: np.ndarray, output: pathlib.Path) -> dict[str, list[float]]:
    import compiled  # beside this file; imports JAX

    history: dict[str, list[float]] = {"loss": []}

    def tell(epoch, loss):
        history["loss"].append(loss)
        print(f"epoch {epoch + 1} of {FLAGS.epochs}: loss {loss:.4f}", flush=True)

    arguments = {"epochs": FLAGS.epochs, "batch_size": FLAGS.batch_size, "seed": FLAGS.seed, "hole": FLAGS.hole}
    compiled.fit(model, images, labels, checkpoint=output / "checkpoint.npz", on_epoch_end=tell, **arguments)
    return history


def main(_) -> None:
    keras.utils.set_random_seed(FLAGS.seed)
    output = pathlib.Path(FLAGS.output)
    output.mkdir(parents=True, exist_ok=True)
    (images, labels), (test_images, test_labels) = cifar10.load_data(FLAGS.data_dir)
    keep = len(images) - FLAGS.holdout
    validation = (images[keep:], labels[keep:]) if FLAGS.holdout else None
    student = model = network(images[-512:])
    if FLAGS.teacher:
        teacher = keras.models.load_model(FLAGS.teacher, compile=False)
        model = kerasq.training.Distilled(student, teacher, FLAGS.temperature, FLAGS.share)
    jit = False if FLAGS.network == "mobilenet" else "auto"  # XLA's depthwise convolutions take ten times as long on CPUs
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer(keep // FLAGS.batch_size), loss, metrics=["accuracy"], jit_compile=jit)
    history = train(model, images[:keep], labels[:keep], validation, output)
    if kerasq.training.harden(student):
        precise = kerasq.callbacks.ReestimateBatchNorm(Augmented(images[:keep], labels[:keep], FLAGS.batch_size, 7), batches=64)
        precise.set_model(student)
        precise.on_train_end()
    student.save(output / "model.keras")
    np.save(output / "examples.npy", images[-512:])
    if keras.backend.backend() == "tensorflow":
        student.export(output / "saved_model")
    student.compile(loss=loss, metrics=["accuracy"])
    result = {"network": FLAGS.network, "layers": FLAGS.layers, "history": history}
    for name, data in (("validation", validation), ("test", (test_images, test_labels))):
        if data is not None:
            _, result[f"{name}_accuracy"] = student.evaluate(*data, batch_size=500, verbose=0)
            print(f"{name} accuracy {result[f'{name}_accuracy']:.4f} over {len(data[1])} images")
    (output / "history.json").write_text(json.dumps(result, indent=1))
    print(f"kerasq-convert {output}/model.keras --representative_dataset {output}/examples.npy --output {output}/model.kq")


if __name__ == "__main__":
    app.run(main)
