"""The C files that --emit_c writes."""

from __future__ import annotations

import contextlib
import pathlib

from kerasq.commands.arguments import CommandError, UsageError, naming
from kerasq.commands.outputs import write_outputs, writing
from kerasq.files import check_writable
from kerasq.runtime.library import LibraryMissingError
from kerasq.runtime.library import load as load_library
from kerasq_convert.c_source import c_source, check_name, runtime_source


def check_c(name: str, folder: pathlib.Path) -> None:
    """Before a conversion that may take long: whether files of that name can be made, and lie in that folder.

    Raises:
        UsageError: The name is none for C.
        CommandError: The folder, or the native library, is not to be used.
    """
    with writing():
        if folder.exists():
            check_writable(folder / f"{name}.h")
    try:
        check_name(name)
        load_library()
    except ValueError as error:
        raise UsageError(f"--c_name: {error}") from error
    except LibraryMissingError as error:
        raise CommandError(f"--emit_c has the native library choose the kernels. {error}") from error


def c_files(content: bytes, folder: str, name: str, title: str, *, runtime: bool) -> dict[pathlib.Path, bytes]:
    """The files of a .kq file, by path.

    Args:
        content: The .kq file.
        folder: Where they go.
        name: What they, and the symbols in them, are called.
        title: Where the content comes from, for a comment and for errors.
        runtime: Whether the runtime's sources are among them.
    """
    with naming(title):
        files = c_source(content, name, title)
    if runtime:
        with naming("--c_runtime"):
            files |= runtime_source()
    return {pathlib.Path(folder, name): data for name, data in files.items()}


def write_all(files: dict[pathlib.Path, bytes], c_folder: str | None) -> None:
    """Writes everything, or leaves everything as it was: a folder that is made for C files goes again, too."""
    folder = pathlib.Path(c_folder) if c_folder else None
    made: list[pathlib.Path] = []
    try:
        with writing():
            if folder is not None:
                made = [path for path in (folder, *folder.parents) if not path.exists()]
                folder.mkdir(parents=True, exist_ok=True)
        write_outputs(files)
    except CommandError:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise
