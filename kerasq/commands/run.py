"""kerasq-run: runs a network on files of NumPy arrays.

    kerasq-run model.kq images.npy --output scores.npy
    kerasq-run model.kq image.npy --json
    kerasq-run model.kq left=a.npy right=b.npy --output scores=scores.npy --output box=box.npy
    kerasq-run model.kq inputs.npz --output outputs.npz

There is one .npy file for each input of the network, and one --output for each
output, in the network's order or as NAME=FILE (kerasq-inspect shows order and names);
or one .npz archive with an array for each, by name. A file holds a batch of
examples, or a single example without the batch axis; then the result has none
either. Integers of exactly the input's stored type are taken as they are; all other
numbers are values, and are quantized to the input's format. `--output -` writes to
standard output.

--json prints an object with the keys model, examples (null for a single one) and
outputs: a list of objects with the keys name, shape, dtype, format and file; where
no --output is given, values in place of file: lists of numbers, null for what is
not finite.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from kerasq.commands.arguments import Command, CommandError, UsageError, naming
from kerasq.commands.outputs import ARCHIVE, ARRAY, Output, check_outputs, report_stream, write_outputs
from kerasq.format import Model, Tensor
from kerasq.inputs import archive_in_order, listed, with_batch_axis
from kerasq.interpreter import Interpreter
from kerasq.interpreter.batches import inputs_of
from kerasq.interpreter.memory import MAX_BYTES


def read_inputs(model: Model, files: Sequence[str]) -> tuple[list[np.ndarray], bool]:
    """The arrays for a network's inputs with a batch axis, and whether the files came without one.

    Args:
        files: An .npy file for each input, in the network's order or each as NAME=FILE; or one .npz archive.

    Raises:
        CommandError: A file can't be read, belongs to no input, or some hold batches and some single examples.
    """
    inputs = inputs_of(model)
    try:
        if len(files) == 1 and files[0].endswith(".npz"):
            arrays = archive_in_order(_read_archive(Path(files[0])), inputs)
        else:
            arrays = [read_array(Path(file)) for file in by_end(model, "input", files)]
        return with_batch_axis(arrays, inputs)
    except ValueError as error:
        raise CommandError(str(error)) from None


def by_end(model: Model, what: str, files: Sequence[str]) -> list[str]:
    """The file for each of a network's inputs or outputs.

    Args:
        what: "input" or "output".
        files: Names of files in the network's order, or each as NAME=FILE.

    Raises:
        CommandError: There are more or fewer, or names are others.
    """
    names = list(model.named_inputs() if what == "input" else model.named_outputs())
    ordered = sorted(names, key=len, reverse=True)  # of `a` and `a=b`, the longer is meant
    pairs = [
        next(((name, file[len(name) + 1 :]) for name in ordered if file.startswith(f"{name}=")), ("", file)) for file in files
    ]
    named = dict(pairs)
    listing = ", ".join(map(repr, names))
    strange = [file for name, file in pairs if not name and "=" in file and file[0] not in "./" and not Path(file).exists()]
    if len(files) == len(names) and set(named) == {""} and not strange:
        return list(files)
    if len(files) == len(names) and set(named) == set(names):
        return [named[name] for name in names]
    plural = "" if len(names) == 1 else "s"
    received = ", ".join(files) if strange or set(named) - {""} else f"{len(files)} {what} files"
    raise CommandError(f"the network has {len(names)} {what}{plural} ({listing}). Received: {received}")


def read_array(path: Path) -> np.ndarray:
    """The array of an .npy file.

    Raises:
        CommandError: It can't be read, or holds something else.
    """
    array = _load(path, ".npy")
    if not isinstance(array, np.ndarray):
        raise CommandError(f"{path} holds several arrays: a .npy file is expected")
    return array


def check_readable(file: str) -> None:
    """Refuses what `read_inputs` could read for no network: a file, or NAME=FILE.

    Raises:
        CommandError: With the reason.
    """
    if file.endswith(".npz") and Path(file).exists():
        _read_archive(Path(file))
    else:
        read_array(Path(file if Path(file).exists() else file.rpartition("=")[2]))


def _read_archive(path: Path) -> dict[str, np.ndarray]:
    archive = _load(path, ".npz")
    if isinstance(archive, np.ndarray):
        raise CommandError(f"{path} holds one array: call it .npy, or write it with numpy.savez")
    with archive:
        try:
            return {name: archive[name] for name in archive.files}
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise CommandError(f"{path} is not a .npz file of numbers: {error}") from None


def _load(path: Path, suffix: str) -> Any:
    try:
        with naming(path):
            return np.load(path, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CommandError(f"{path} is not a {suffix} file of numbers: {error}") from None


def _saved(array: np.ndarray) -> memoryview:
    """The bytes of an .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getbuffer()


def _archived(arrays: dict[str, np.ndarray]) -> memoryview:
    """The bytes of an .npz file. (numpy.savez has parameters of its own, and an output may be called like one.)"""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), _saved(array))
    return file.getbuffer()


def execute(interpreter: Interpreter, inputs: Sequence[str], outputs: Sequence[Path], raw: bool) -> dict[str, Any]:
    """Read, run, write.

    Args:
        inputs: As for `read_inputs`.
        outputs: A file for each output of the network, or one .npz archive for all; none: the values are returned.

    Returns:
        What --json prints, but for the model.

    Raises:
        CommandError: With the reason.
    """
    model = interpreter.model
    arrays, single = read_inputs(model, inputs)
    try:
        results = listed(interpreter.predict(dict(zip(model.named_inputs(), arrays, strict=True)), verbose=1, raw=raw))
    except (ValueError, TypeError) as error:
        raise CommandError(str(error)) from None
    named = {name: result[0] if single else result for name, result in zip(model.named_outputs(), results, strict=True)}
    if len(outputs) == 1 and outputs[0].suffix == ".npz":
        write_outputs({outputs[0]: _archived(named)})
        outputs = list(outputs) * len(named)
    elif outputs:
        write_outputs({path: _saved(result) for path, result in zip(outputs, named.values(), strict=True)})
    tensors = [model.tensors[index] for index in model.outputs]
    ends = [_facts(name, tensor, named[name]) for name, tensor in zip(named, tensors, strict=True)]
    for position, (end, result) in enumerate(zip(ends, named.values(), strict=True)):
        end |= {"file": str(outputs[position])} if outputs else {"values": _values(result)}
    return {"examples": None if single else len(arrays[0]), "outputs": ends}


def _facts(name: str, tensor: Tensor, result: np.ndarray) -> dict[str, Any]:
    return {"name": name, "shape": list(result.shape), "dtype": str(result.dtype), "format": str(tensor.format)}


def _values(result: np.ndarray) -> Any:
    """Nested lists; JSON has no NaN and no infinity."""
    finite = np.isfinite(result)
    if not finite.all():
        result = result.astype(object)
        result[~finite] = None
    return result.tolist()


def _define(options: flags.FlagValues) -> None:
    meaning = "`FILE` to write, one for each output of the network"  # absl adds that the flag may be repeated
    flags.DEFINE_multi_string("output", [], meaning, short_name="o", flag_values=options)
    allowed = "Memory that the network may take: `N` bytes; more only for a file that you trust."
    flags.DEFINE_integer("max_bytes", MAX_BYTES, allowed, lower_bound=1, flag_values=options)
    flags.DEFINE_bool("raw", False, "Write stored integers instead of float32 values.", flag_values=options)
    flags.DEFINE_bool("json", False, "Print a JSON object; with the values unless --output is given.", flag_values=options)


def _run(options: flags.FlagValues, names: list[str]) -> None:
    if len(names) < 2 or not (options.output or options.json):
        raise UsageError("a model, its input files and --output are expected")
    path, *inputs = names
    read = [path, *inputs, *(name.rpartition("=")[2] for name in inputs)]
    is_archive = len(options.output) == 1 and options.output[0].endswith(".npz")

    def checked(files: Sequence[str]) -> list[Output]:
        outputs = [Output("--output", file, ARCHIVE if is_archive else ARRAY) for file in files]
        check_outputs(outputs, read)
        return outputs

    if not any("=" in file for file in options.output):  # else the model tells which part is the name of a file
        checked(options.output)
    with naming(Path(path)):
        interpreter = Interpreter(model_path=path, max_bytes=options.max_bytes)
    files = options.output
    if files and not is_archive:
        files = by_end(interpreter.model, "output", files)
    outputs = checked(files)
    facts = execute(interpreter, inputs, [output.path for output in outputs], options.raw)
    if options.json:
        print(json.dumps({"model": path} | facts), file=report_stream(outputs))


COMMAND = Command(
    "kerasq-run", "model.kq [NAME=]input.npy ... --output [NAME=]result.npy [--raw] [--json]", __doc__, _define, _run
)
main, run = COMMAND.main, COMMAND.run
