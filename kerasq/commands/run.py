"""kerasq-run model.kq input.npy [more.npy ...] --output result.npy [--raw]: runs a network on files of NumPy arrays.

There is one .npy file for each input of the network, and one --output for each output, in the network's order. A file holds
a batch of examples, or a single example without the batch axis; then the result has none either. Floats are values and are
quantized to the input's format; integers of the stored type are taken as stored.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from kerasq.format import Model, ModelError, Tensor
from kerasq.interpreter import Interpreter

USAGE = "usage: kerasq-run model.kq input.npy [more.npy ...] --output result.npy [--raw]"


class CommandError(Exception):
    """Why the command failed, in one line."""


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
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from None
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
    # In the same folder, so that all that is left to do at the end is to rename.
    temporaries = [path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp") for path in paths]
    try:
        for array, path, temporary in zip(arrays, paths, temporaries, strict=True):
            if path.is_dir():
                raise CommandError(f"{path}: is a folder")
            with temporary.open("xb") as file:
                np.save(file, array)
        for path, temporary in zip(paths, temporaries, strict=True):
            temporary.replace(path)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from None
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


def execute(model_path: Path, inputs: Sequence[Path], outputs: Sequence[Path], raw: bool) -> None:
    """Read, run, write.

    Raises:
        CommandError: With the reason.
    """
    try:
        interpreter = Interpreter(model_path=model_path)
    except OSError as error:
        raise CommandError(f"{model_path}: {error.strerror or error}") from None
    except ModelError as error:
        more = f" (and {len(error.problems) - 1} more problems)" if len(error.problems) > 1 else ""
        raise CommandError(f"{model_path} is not a usable kerasq model: {error.problems[0]}{more}") from None
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
    results = results if isinstance(results, list) else [results]
    write_outputs([result[0] if single else result for result in results], outputs)


def main(argv: Sequence[str]) -> int:
    """The command; `argv` begins with its name. Returns the exit status."""
    options = flags.FlagValues()
    flags.DEFINE_multi_string(
        "output", [], "File to write, one for each output of the network.", short_name="o", flag_values=options
    )
    flags.DEFINE_bool("raw", False, "Write stored integers instead of float32 values.", flag_values=options)
    flags.DEFINE_bool("help", False, "Show this help.", short_name="h", flag_values=options)
    try:
        names = [Path(name) for name in options(argv)[1:]]
    except flags.Error as error:
        print(f"kerasq-run: {error}\n{USAGE}", file=sys.stderr)
        return 2
    if options.help:
        print(f"{__doc__}{options.get_help()}")
        return 0
    if len(names) < 2 or not options.output:
        print(f"kerasq-run: a model, its input files and --output are expected\n{USAGE}", file=sys.stderr)
        return 2
    try:
        execute(names[0], names[1:], [Path(name) for name in options.output], options.raw)
    except CommandError as error:
        print(f"kerasq-run: {error}", file=sys.stderr)
        return 1
    return 0


def run() -> None:
    """The console script."""
    sys.exit(main(sys.argv))
