r"""Compares every tensor of a .kq file with the Keras network it came from, over real images.

    python examples/cifar10/agreement.py --model work/binary_weight/model.keras \
        --converted examples/cifar10/models/resnet23_binary.kq

Each tensor is computed twice from the same integers, those that the interpreter holds before it: by the interpreter, and by the
Keras layers in between, whose result is then rounded to the tensor's format. What is counted is the distance in units of the
last place. Keras computes in float32, with alpha and BatchNorm unrounded; the file holds their product in 16 bits. Kernels that
the conversion rounded (a float Dense layer) are put into the Keras layer as they are stored.
"""

import keras
import numpy as np
from absl import app, flags

import kerasq
from kerasq import format as kq
from kerasq.datasets import cifar10
from kerasq.progress import Progress
from kerasq.text import table

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, ".keras file of the network.", required=True)
flags.DEFINE_string("converted", None, ".kq file that it became, with fixed buffers.", required=True)
flags.DEFINE_integer("count", 1000, "Test images to compare on.", lower_bound=1)
flags.DEFINE_string("data_dir", None, "Folder of CIFAR-10 (see kerasq.datasets.cifar10).")
BATCH = 50


def layer_outputs(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """The Keras tensor of each buffer's name."""
    outputs = {f"{layer.name}/output": layer.output for layer in model.layers}
    return outputs | {tensor.name: tensor for tensor in model.inputs}


def put_stored_kernels(model: keras.Model, converted: kq.Model) -> None:
    """Gives plain Dense layers the kernel and the bias that the file holds."""
    for layer in model.layers:
        if type(layer) is keras.layers.Dense:
            layer.kernel.assign(converted.tensor(f"{layer.name}/kernel").values.T)
            layer.bias.assign(converted.tensor(f"{layer.name}/bias").values)


def steps(model: keras.Model, converted: kq.Model) -> list[tuple[kq.Tensor, list[kq.Tensor], keras.Model]]:
    """For each operator its output, the activations that it reads, and the Keras layers in between."""
    outputs = layer_outputs(model)
    comparisons = []
    for operator in converted.operators:
        target = converted.output(operator)
        sources = [tensor for tensor in converted.operands(operator) if tensor is not None and not tensor.is_constant]
        between = keras.Model([outputs[source.name] for source in sources], outputs[target.name])
        comparisons.append((target, sources, between))
    return comparisons


def main(_) -> None:
    model = keras.models.load_model(FLAGS.model, compile=False)
    converted = kq.load(FLAGS.converted)
    put_stored_kernels(model, converted)
    interpreter = kerasq.Interpreter(model_path=FLAGS.converted)
    _, (images, _) = cifar10.load_data(FLAGS.data_dir)
    compared = steps(model, converted)
    counts = {target.name: np.zeros(3, np.int64) for target, _, _ in compared}  # values, those that differ, largest distance
    with Progress("comparing", min(FLAGS.count, len(images)), "images") as progress:
        for start in range(0, FLAGS.count, BATCH):
            batch = images[start : min(start + BATCH, FLAGS.count)]
            stored = interpreter.tensors(batch)
            for target, sources, between in compared:
                # A file has no operator for a Flatten between two tensors: shapes are those of the layers.
                read = [
                    source.format.dequantize(stored[source.name]).reshape(-1, *x.shape[1:])
                    for source, x in zip(sources, between.inputs, strict=True)
                ]
                expected = target.format.quantize(np.asarray(between(read)))
                distance = np.abs(expected.astype(np.int64).reshape(stored[target.name].shape) - stored[target.name])
                values, different, largest = counts[target.name]
                different, largest = different + np.count_nonzero(distance), max(largest, distance.max())
                counts[target.name] = np.array([values + distance.size, different, largest])
            progress.advance(len(batch))
    rows = []
    for target, _, _ in compared:
        values, different, largest = (int(count) for count in counts[target.name])
        rows.append((target.name, str(target.format), f"{values:,}", f"{100 * different / values:.4f}%", str(largest)))
    columns = ("tensor", "format", "values", "different", "largest distance")
    print(table(columns, rows, right=columns[2:]))
    worst = max(int(row[2]) for row in counts.values())
    print(f"largest distance {worst} over {FLAGS.count:,} images")
    if worst > 1:
        raise SystemExit(1)


if __name__ == "__main__":
    app.run(main)
