"""The C files that --emit_c writes."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator

from kerasq.commands.arguments import CommandError, UsageError, naming
from kerasq.commands.outputs import write_outputs, writing
from kerasq.files import check_writable
from kerasq.runtime.library import LibraryMissingError
from kerasq.runtime.library import load as load_library
from kerasq_convert.c_folder.folder import FolderError, check_folder, plan_folder
from kerasq_convert.c_folder.network import network_of
from kerasq_convert.c_source import c_source, check_name


def check_c(name: str, folder: pathlib.Path, *, runtime: bool, overwrite: bool) -> None:
    """Before a conversion that may take long: whether files of that name can be made, and lie in that folder.

    Raises:
        UsageError: The name is none for C.
        CommandError: The folder, or the native library, is not to be used.
    """
    with writing():
        place = folder / "src" if runtime else folder
        if place.exists():
            check_writable(place / f"{name}.h")
        elif folder.exists():
            check_writable(folder / "README.md")
    try:
        check_name(name)
        load_library()
    except ValueError as error:
        raise UsageError(f"--c_name: {error}") from error
    except LibraryMissingError as error:
        raise CommandError(f"--emit_c has the native library choose the kernels. {error}") from error
    if runtime:
        with _folder_errors():
            check_folder(folder, name, overwrite=overwrite)


@contextlib.contextmanager
def _folder_errors() -> Iterator[None]:
    """What is wrong with a folder, or with the sources that are to go there, as the error of a command."""
    with naming("--c_runtime"):
        try:
            yield
        except FolderError as error:
            raise CommandError(str(error)) from error


@dataclasses.dataclass(frozen=True)
class CFiles:
    """What --emit_c writes.

    Attributes:
        folder: Where.
        files: To write, by path.
        stale: Own files that are not needed any more.
        kept: Files of the user's that stay.
        whole: Whether it is a folder that builds: files are told by its name.
    """

    folder: pathlib.Path
    files: dict[pathlib.Path, bytes] = dataclasses.field(default_factory=dict)
    stale: tuple[pathlib.Path, ...] = ()
    kept: tuple[pathlib.Path, ...] = ()
    whole: bool = False

    def told(self) -> list[str]:
        """Lines for a person: what was written, and what was not."""
        if not self.whole:
            return [f"wrote {path}" for path in self.files]
        lines = [f"wrote {self.folder / 'README.md'} and {len(self.files) - 1} files beside it"]
        if self.kept:
            kept = ", ".join(map(str, self.kept))
            lines.append(f"kept {kept}: not written by kerasq-convert, or changed since; --overwrite replaces it")
        return lines


def c_files(content: bytes, folder: str, name: str, title: str, *, runtime: bool, overwrite: bool) -> CFiles:
    """The C files of a .kq file.

    Args:
        content: The .kq file.
        folder: Where they go.
        name: What they, and the symbols in them, are called.
        title: Where the content comes from, for a comment and for errors.
        runtime: Whether it is to be a folder that builds, with the runtime in it.
        overwrite: Whether files of the user's in that are replaced.
    """
    place = pathlib.Path(folder)
    with naming(title):
        files = c_source(content, name, title)
        if not runtime:
            return CFiles(place, {place / name: data for name, data in files.items()})
        network = network_of(content, name, title)
    with _folder_errors():
        planned = plan_folder(place, network, files, overwrite=overwrite)
    paths = {place / path: data for path, data in planned.files.items()}
    stale, kept = (tuple(place / path for path in names) for names in (planned.stale, planned.kept))
    return CFiles(place, paths, stale, kept, whole=True)


def write_all(files: dict[pathlib.Path, bytes], c: CFiles | None) -> None:
    """Writes everything, or leaves everything as it was: folders that are made for C files go again, too."""
    made: list[pathlib.Path] = []
    try:
        with writing():
            for folder in sorted({path.parent for path in c.files} | {c.folder}) if c else ():
                made += [path for path in (folder, *folder.parents) if not path.exists()]
                folder.mkdir(parents=True, exist_ok=True)
        write_outputs(files | (c.files if c else {}))
    except CommandError:
        for path in sorted(made, key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()
        raise
    for path in c.stale if c else ():
        with contextlib.suppress(OSError):
            path.unlink()
