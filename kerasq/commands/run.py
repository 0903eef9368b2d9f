"""kerasq-run: runs a network on files of NumPy arrays.

    kerasq-run model.kq images.npy --output scores.npy

There is one .npy file for each input of the network, and one --output for each
output, in the network's order (kerasq-inspect shows it). A file holds a batch of
examples, or a single example without the batch axis; then the result has none
either. Floats are values, and are quantized to the input's format; integers of the
input's stored type are taken as they are.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from kerasq.commands.arguments import Command, CommandError, UsageError, naming
from kerasq.format import Model, Tensor
from kerasq.inputs import listed
from kerasq.interpreter import Interpreter


def read_inputs(model: Model, paths: Sequence[Path]) -> tuple[list[np.ndarray], bool]:
    """The arrays of some files with a batch axis, and whether the files came without one.

    Raises:
        CommandError: A file can't be read, or some hold batches and some single examples.
    """
    arrays = [_read(path) for path in paths]
    tensors = [model.tensors[index] for index in model.inputs]
    single = [_is_single(tensor, array) for tensor, array in zip(tensors, arrays, strict=True)]
    if any(single) and not all(single):
        raise CommandError("some inputs are batches and some are single examples")
    return [array[np.newaxis] if alone else array for array, alone in zip(arrays, single, strict=True)], all(single)


def _read(path: Path) -> np.ndarray:
    try:
        with naming(path):
            array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise CommandError(f"{path} is not a .npy file of numbers: {error}") from None
    if not isinstance(array, np.ndarray):
        raise CommandError(f"{path} holds several arrays: a .npy file is expected")
    return array


def _is_single(tensor: Tensor, array: np.ndarray) -> bool:
    return array.ndim == len(tensor.shape) - 1


def write_outputs(arrays: Sequence[np.ndarray], paths: Sequence[Path]) -> None:
    """Write each array to its file; files that exist keep their contents unless all could be written.

    Raises:
        CommandError: A file can't be written.
    """
    for path in paths:
        if path.is_dir():
            raise CommandError(f"{path}: is a folder")
    # In the same folder, so that all that is left to do at the end is to rename.
    temporaries = [path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp") for path in paths]
    try:
        for array, path, temporary in zip(arrays, paths, temporaries, strict=True):
            with naming(path), temporary.open("xb") as file:
                np.save(file, array)
        for path, temporary in zip(paths, temporaries, strict=True):
            with naming(path):
                temporary.replace(path)
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


def execute(model_path: Path, inputs: Sequence[Path], outputs: Sequence[Path], raw: bool) -> None:
    """Read, run, write.

    Raises:
        CommandError: With the reason.
    """
    with naming(model_path):
        interpreter = Interpreter(model_path=model_path)
    model = interpreter.model
    for what, given, tensors in (("input", inputs, model.inputs), ("output", outputs, model.outputs)):
        if len(given) != len(tensors):
            names = ", ".join(repr(model.tensors[index].name) for index in tensors)
            plural = "" if len(tensors) == 1 else "s"
            raise CommandError(f"the network has {len(tensors)} {what}{plural} ({names}). Received: {len(given)} {what} files")
    arrays, single = read_inputs(model, inputs)
    try:
        results = interpreter.predict(arrays if len(arrays) > 1 else arrays[0], verbose=1, raw=raw)
    except (ValueError, TypeError) as error:
        raise CommandError(str(error)) from None
    results = listed(results)
    write_outputs([result[0] if single else result for result in results], outputs)


def _define(options: flags.FlagValues) -> None:
    meaning = "`FILE` to write, one for each output of the network"  # absl adds that the flag may be repeated
    flags.DEFINE_multi_string("output", [], meaning, short_name="o", flag_values=options)
    flags.DEFINE_bool("raw", False, "Write stored integers instead of float32 values.", flag_values=options)


def _run(options: flags.FlagValues, names: list[str]) -> None:
    if len(names) < 2 or not options.output:
        raise UsageError("a model, its input files and --output are expected")
    model, *inputs = map(Path, names)
    outputs = [Path(name) for name in options.output]
    if len(set(outputs)) < len(outputs):
        raise UsageError(f"each --output needs a file of its own. Received: {', '.join(map(str, outputs))}")
    execute(model, inputs, outputs, options.raw)


COMMAND = Command("kerasq-run", "model.kq input.npy [more.npy ...] --output result.npy [--raw]", __doc__, _define, _run)
main, run = COMMAND.main, COMMAND.run
