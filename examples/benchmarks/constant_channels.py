"""What constant channels cost, and what is left without them: the MobileNet of visual wake words, made sparse.

    python examples/benchmarks/constant_channels.py --output work/benchmarks

trains it with a penalty on the sizes of batch normalizations' scales (network slimming, Liu et al. 2017, arXiv:1708.06519) until
`--share` of all channels have a scale of exactly zero, and so give the same value for every image. The network is then converted
with --noprune and as by default, and both are run on random images and on images of black and white pixels: every output must be
equal. One to two minutes.
"""

import pathlib
import sys

import keras
import numpy as np
from absl import app, flags, logging
from standins import BATCH, NETWORKS, RATE

import kerasq
from kerasq import ops
from kerasq.files import write_whole
from kerasq.format import loads
from kerasq.text import table

FLAGS = flags.FLAGS
EXAMPLES, STEPS, COMPARED = 256, 40, 64


def sparse(share: float) -> keras.Model:
    """The network after a training that drives scales to zero, the smallest first."""
    keras.utils.set_random_seed(1)
    network = NETWORKS["vww"]
    model = network.build()
    scales = scales_of(model)
    rng = np.random.default_rng(2)
    for scale in scales:  # sizes as different as after a long training
        scale.assign(rng.uniform(0.1, 1.0, scale.shape))
    examples, labels = network.data(EXAMPLES, 1)
    model.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy")
    rng_order = np.random.default_rng(3)
    for step in range(1, STEPS + 1):
        batch = rng_order.choice(EXAMPLES, BATCH, replace=False)
        model.train_on_batch(examples[batch], labels[batch])
        shrink(scales, share * step / STEPS)
    return model


def shrink(scales: list[keras.Variable], share: float) -> None:
    """The proximal step of an L1 penalty, of the size that brings so many scales to zero."""
    values = [keras.ops.convert_to_numpy(scale) for scale in scales]
    threshold = np.quantile(np.abs(np.concatenate(values)), share)
    for scale, value in zip(scales, values, strict=True):
        scale.assign(np.sign(value) * np.maximum(np.abs(value) - threshold, 0.0) if share else value)


def scales_of(model: keras.Model) -> list[keras.Variable]:
    """The scales of all batch normalizations."""
    return [layer.gamma for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


def constant_share(model: keras.Model) -> float:
    """Share of the channels behind batch normalizations that have a scale of zero."""
    return float(np.mean(np.concatenate([keras.ops.convert_to_numpy(scale) for scale in scales_of(model)]) == 0))


def images(count: int) -> np.ndarray:
    """So many images of noise, and as many whose values are 0 and 255 alone."""
    rng = np.random.default_rng(4)
    noise = rng.integers(0, 256, (count, 96, 96, 3))
    return np.concatenate([noise, 255 * rng.integers(0, 2, noise.shape)]).astype(np.float32)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"no arguments are expected. Received: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    folder = pathlib.Path(FLAGS.output)
    folder.mkdir(parents=True, exist_ok=True)
    print("training ...", file=sys.stderr, flush=True)
    model = sparse(FLAGS.share)
    model.save(folder / "sparse_vww.keras")
    representative = NETWORKS["vww"].data(64, 1)[0]
    compared, outputs, rows = images(COMPARED), [], []
    for name, prune in (("before", False), ("after", True)):
        content = kerasq.convert(model, representative_dataset=representative, prune=prune)
        write_whole(folder / f"sparse_vww_{name}.kq", content)
        network = loads(content)
        macs = sum(ops.macs(network, operator) for operator in network.operators)
        channels = sum(network.output(operator).shape[-1] for operator in network.operators)
        rows.append([name, f"{channels:,}", f"{macs:,}", f"{len(content):,}", f"{network.arena_bytes:,}"])
        outputs.append(kerasq.Interpreter(model_content=content).predict(compared))
    columns = ("network", "channels", "multiply-accumulates", "bytes", "arena bytes")
    print(f"{100 * constant_share(model):.1f} % of the channels have a scale of zero")
    print(table(columns, rows, right=columns[1:]))
    same = np.array_equal(*outputs)
    print(f"outputs on {len(compared)} images: {'equal' if same else 'DIFFERENT'}")
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    flags.DEFINE_string("output", None, "Folder for sparse_vww.keras, and for the .kq files before and after.", required=True)
    flags.DEFINE_float("share", 0.36, "Share of the channels that become constant.", 0.0, 0.9)
    app.run(main)
