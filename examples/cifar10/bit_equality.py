"""Every tensor of some .kq files on CIFAR-10 test images: the reference beside every set of kernels that this processor has.

    python examples/cifar10/bit_equality.py examples/cifar10/models/*.kq

Fixed tensors must be equal in every bit; of FLOAT32 tensors the largest difference is shown, relative to the largest value. The
exit status is 1 if a fixed tensor differs.
"""

import sys

import numpy as np
from absl import app, flags

import kerasq
from kerasq.datasets import cifar10

FLAGS = flags.FLAGS
flags.DEFINE_integer("count", 1000, "Test images.", lower_bound=1)
flags.DEFINE_integer("batch_size", 50, "Images whose tensors are in memory at once.", lower_bound=1)
flags.DEFINE_string("data_dir", None, "Folder of CIFAR-10 (see kerasq.datasets.cifar10).")


def differences(path: str, tier: str, images: np.ndarray) -> tuple[int, int, float]:
    """How many fixed values were compared, how many of them differ, and the largest relative difference of a FLOAT32 tensor."""
    reference = kerasq.Interpreter(model_path=path, engine="reference")
    native = kerasq.Interpreter(model_path=path, engine="native", isa=tier)
    compared = different = 0
    largest = 0.0
    for start in range(0, len(images), FLAGS.batch_size):
        batch = images[start : start + FLAGS.batch_size]
        outputs = native.tensors(batch)
        for name, expected in reference.tensors(batch).items():
            if expected.dtype == np.float32:
                largest = max(largest, float(np.abs(outputs[name] - expected).max() / np.abs(expected).max()))
            else:
                compared += expected.size
                different += int((outputs[name] != expected).sum())
    return compared, different, largest


def main(argv: list[str]) -> None:
    _, (images, _) = cifar10.load_data(FLAGS.data_dir)
    stored = images[: FLAGS.count]
    failed = False
    for path in argv[1:]:
        (tensor,) = kerasq.Interpreter(model_path=path).get_input_details()
        x = stored if str(tensor["format"]) == "UFIXED8_0" else stored.astype(np.float32)
        for tier in kerasq.runtime.tiers():
            compared, different, largest = differences(path, tier, x)
            print(f"{path}, {tier}: {different:,} of {compared:,} fixed values differ; FLOAT32 tensors by {largest:.1e} at most")
            failed |= different > 0
    sys.exit(int(failed))


if __name__ == "__main__":
    app.run(main)
