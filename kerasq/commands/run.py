"""kerasq-run: runs a network on files of NumPy arrays.

    kerasq-run model.kq images.npy --output scores.npy
    kerasq-run model.kq image.npy --json

There is one .npy file for each input of the network, and one --output for each
output, in the network's order (kerasq-inspect shows it). A file holds a batch of
examples, or a single example without the batch axis; then the result has none
either. Floats are values, and are quantized to the input's format; integers of the
input's stored type are taken as they are. `--output -` writes to standard output.

--json prints an object with the keys model, examples (null for a single one) and
outputs: a list of objects with the keys name, shape, dtype, format and file; where
no --output is given, values in place of file: lists of numbers, null for what is
not finite.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from kerasq.commands.arguments import Command, CommandError, UsageError, naming
from kerasq.commands.outputs import ARRAY, Output, check_outputs, report_stream, write_outputs
from kerasq.format import Model, Tensor
from kerasq.inputs import listed
from kerasq.interpreter import Interpreter
from kerasq.interpreter.memory import MAX_BYTES


def read_inputs(model: Model, paths: Sequence[Path]) -> tuple[list[np.ndarray], bool]:
    """The arrays of some files with a batch axis, and whether the files came without one.

    Raises:
        CommandError: A file can't be read, or some hold batches and some single examples.
    """
    arrays = [read_array(path) for path in paths]
    tensors = [model.tensors[index] for index in model.inputs]
    single = [_is_single(tensor, array) for tensor, array in zip(tensors, arrays, strict=True)]
    if any(single) and not all(single):
        raise CommandError("some inputs are batches and some are single examples")
    return [array[np.newaxis] if alone else array for array, alone in zip(arrays, single, strict=True)], all(single)


def read_array(path: Path) -> np.ndarray:
    """The array of an .npy file.

    Raises:
        CommandError: It can't be read, or holds something else.
    """
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


def _saved(array: np.ndarray) -> memoryview:
    """The bytes of an .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getbuffer()


def execute(
    model_path: Path, inputs: Sequence[Path], outputs: Sequence[Path], raw: bool, max_bytes: int = MAX_BYTES
) -> dict[str, Any]:
    """Read, run, write.

    Args:
        max_bytes: What the network may take, as for `Interpreter`.
        outputs: A file for each output of the network; none: the values are returned.

    Returns:
        What --json prints.

    Raises:
        CommandError: With the reason.
    """
    with naming(model_path):
        interpreter = Interpreter(model_path=model_path, max_bytes=max_bytes)
    model = interpreter.model
    for what, given, indices in (("input", inputs, model.inputs), ("output", outputs, model.outputs)):
        if len(given) != len(indices) and (given or what == "input"):
            listing = ", ".join(repr(model.tensors[index].name) for index in indices)
            plural = "" if len(indices) == 1 else "s"
            raise CommandError(f"the network has {len(indices)} {what}{plural} ({listing}). Received: {len(given)} {what} files")
    arrays, single = read_inputs(model, inputs)
    try:
        results = interpreter.predict(arrays if len(arrays) > 1 else arrays[0], verbose=1, raw=raw)
    except (ValueError, TypeError) as error:
        raise CommandError(str(error)) from None
    results = [result[0] if single else result for result in listed(results)]
    write_outputs({path: _saved(result) for path, result in zip(outputs, results, strict=bool(outputs))})
    tensors = [model.tensors[index] for index in model.outputs]
    names = model.output_names or [tensor.name for tensor in tensors]
    ends = [_facts(*end) for end in zip(names, tensors, results, strict=True)]
    for position, (end, result) in enumerate(zip(ends, results, strict=True)):
        end |= {"file": str(outputs[position])} if outputs else {"values": _values(result)}
    return {"model": str(model_path), "examples": None if single else len(arrays[0]), "outputs": ends}


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
    outputs = [Output("--output", name, ARRAY) for name in options.output]
    check_outputs(outputs, names)
    model, *inputs = map(Path, names)
    facts = execute(model, inputs, [output.path for output in outputs], options.raw, options.max_bytes)
    if options.json:
        print(json.dumps(facts), file=report_stream(outputs))


COMMAND = Command("kerasq-run", "model.kq input.npy [more.npy ...] --output result.npy [--raw] [--json]", __doc__, _define, _run)
main, run = COMMAND.main, COMMAND.run
