"""What the README and the guide promise: from a float model to one trained as the chip computes, and its file, in six lines."""

from __future__ import annotations

import pathlib

import numpy as np

import kerasq
from converters.quantization.same_tensors import assert_shipped

MOST = 6
# Of values that are a unit apart: after a few steps of training, statistics of normalizations fit little, and their factors and
# biases, which a file rounds, differ much from channel to channel.
SHARE = 0.005


def assert_six_lines_ship(code: str, names: dict, file: str, x: np.ndarray) -> None:
    """Of documented code that was run: `quantized` became `file` in so many lines, and they predict the same.

    Args:
        code: A block; it calls `quantize_model`, and later writes the file.
        names: What it has set.
        file: The name of the file, in the present folder.
        x: Examples.
    """
    lines = [line for line in code.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    (begin,) = [index for index, line in enumerate(lines) if "quantize_model" in line]
    (end,) = [index for index, line in enumerate(lines) if f'"{file}"' in line]
    assert 2 < end - begin + 1 <= MOST, lines
    content = pathlib.Path(file).read_bytes()
    assert_shipped(names["quantized"], content, [x], SHARE)  # every tensor
    ours, theirs = kerasq.Interpreter(model_content=content).predict(x), names["quantized"].predict(x, verbose=0)
    assert np.mean(np.argmax(ours, -1) == np.argmax(theirs, -1)) >= 0.9  # scores that are equal up to a unit may change places
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 0.1 * np.std(theirs)
