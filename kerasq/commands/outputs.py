"""Where a command writes: checked before it works, which may take long; written all at once."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TextIO

from kerasq.commands.arguments import CommandError, UsageError
from kerasq.files import check_writable, destination, write_all

STANDARD_OUTPUT = pathlib.Path("/dev/stdout")

# Ends of names by which programs, and people, tell what a file holds. A file that holds something else must not have one.
_KINDS = {
    "a kerasq network": (".kq",),
    "a network of TFLite": (".tflite", ".lite"),
    "a network for TensorFlow or Keras": (".keras", ".h5", ".hdf5", ".pb", ".pbtxt", ".ckpt"),
    "a network of another format": (".onnx", ".pt", ".pth", ".safetensors", ".mlmodel", ".mlpackage", ".gguf", ".circle"),
    "NumPy's array": (".npy",),
    "an archive": (".npz", ".zip", ".tar", ".gz"),
    "YAML": (".yaml", ".yml"),
    "HTML": (".html", ".htm"),
    "JSON": (".json",),
    "another kind of text": (".csv", ".tsv", ".txt", ".md", ".xml", ".toml", ".pdf"),
    "source text": (".c", ".h", ".cc", ".cpp", ".hpp", ".py"),
    "an SVG image": (".svg",),
    "an image": (".png", ".jpg", ".jpeg", ".bmp", ".gif"),
}
_KIND_OF = {suffix: kind for kind, suffixes in _KINDS.items() for suffix in suffixes}
NETWORK, TFLITE, ARRAY, ARCHIVE = "a kerasq network", "a network of TFLite", "NumPy's array", "an archive"
SETTINGS, PAGE, PICTURE, FACTS = "YAML", "HTML", "an SVG image", "JSON"


@dataclasses.dataclass(frozen=True)
class Output:
    """A file to write.

    Attributes:
        flag: The flag that names it.
        name: Its name on the command line; `-` is standard output.
        kind: What it will hold: `NETWORK`, `TFLITE`, `ARRAY`, `ARCHIVE`, `SETTINGS`, `PAGE`, `PICTURE` or `FACTS`.
    """

    flag: str
    name: str
    kind: str

    @property
    def path(self) -> pathlib.Path:
        return STANDARD_OUTPUT if self.name == "-" else pathlib.Path(self.name)


def check_outputs(outputs: Sequence[Output], inputs: Iterable[str | os.PathLike[str] | None] = ()) -> None:
    """Whether all outputs can be written, as far as can be told now.

    Args:
        outputs: What will be written.
        inputs: What will be read, and so must not be among them; `None` counts as nothing.

    Raises:
        UsageError: Their names won't do.
        CommandError: A folder is missing, or something is not permitted.
    """
    read = {_identity(pathlib.Path(path)): path for path in inputs if path}
    written: dict[pathlib.Path, Output] = {}
    for output in outputs:
        if not output.name:
            raise UsageError(f"{output.flag} needs the name of a file. Received: ''")
        with writing():
            is_plain = _is_plain(output.path)
        if is_plain:
            _check_kind(output)
        elif output.name == os.devnull:
            continue
        identity = _identity(output.path)
        if identity in read:
            raise UsageError(f"{output.flag} {output.name} would replace {read[identity]}, which is read: give it another name")
        if identity in written:
            other = written[identity]
            raise UsageError(
                f"{other.flag} and {output.flag} name the same file: each needs a file of its own. "
                f"Received: {other.name}, {output.name}"
            )
        written[identity] = output
    for output in outputs:
        if output.name.endswith(("/", os.sep)):
            raise CommandError(f"{output.name}: is the name of a folder")
        with writing():
            check_writable(output.path)


def kind_of(name: str) -> str | None:
    """What a file of this name holds, if its end tells."""
    return _KIND_OF.get(pathlib.Path(name).suffix.lower())


def _check_kind(output: Output) -> None:
    suffix = output.path.suffix.lower()
    kind = kind_of(output.name)
    if kind not in (None, output.kind):
        raise UsageError(
            f"{output.flag} writes {output.kind}, and names with {suffix} are for {kind}: use {_KINDS[output.kind][0]}. "
            f"Received: {output.name}"
        )


def _is_plain(path: pathlib.Path) -> bool:
    """Whether this is, or will be, a file on a disk."""
    place = destination(path)
    return isinstance(place, pathlib.Path) and (place.is_file() or place.is_dir() or not place.exists())


def _identity(path: pathlib.Path) -> pathlib.Path:
    """The same for all names of one file, by whatever links and dots."""
    return pathlib.Path(os.path.realpath(path))


def report_stream(outputs: Iterable[Output]) -> TextIO | None:
    """Where text for people goes: standard output, unless a file is written there."""
    with writing():
        taken = any(destination(output.path) == 1 for output in outputs)
    return sys.stderr if taken else sys.stdout


def write_outputs(contents: Mapping[pathlib.Path, bytes | memoryview]) -> None:
    """`write_all`; what goes wrong is a `CommandError`, but a pipe that is closed is left to the program."""
    with writing():
        write_all(contents)


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Makes of an OSError a `CommandError` that names the file."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror or error}") from error
