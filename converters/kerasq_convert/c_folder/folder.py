"""What is written into a folder that there may be already: own files are replaced, others stay.

`kerasq.json` lists the networks of a folder, and the files that were written, with the SHA-256 of each. A file that has it still
is an own one. Any other is the user's: an example, a text or a file for a build system stays unless the user wants it replaced; a
source that is not what was written is an error, as the rest would not fit it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Mapping

import kerasq
from kerasq_convert.c_folder.network import FolderNetwork, from_json, to_json
from kerasq_convert.c_folder.texts import paths, texts
from kerasq_convert.c_runtime import runtime_source

MANIFEST = "kerasq.json"
_SOURCE = re.compile(r"src/\w+\.[ch]", re.ASCII)


class FolderError(Exception):
    """A folder is not to be written to; the text says why, and what to do."""


@dataclasses.dataclass(frozen=True)
class _Before:
    """What a folder was when it was last written: its networks, and checksums of its files by path."""

    networks: dict[str, FolderNetwork] = dataclasses.field(default_factory=dict)
    files: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class FolderPlan:
    """What is to be done to a folder.

    Attributes:
        files: To write, by path in the folder.
        stale: Own sources that are not needed any more.
        kept: What would have been written, but is the user's.
    """

    files: dict[str, bytes]
    stale: tuple[str, ...]
    kept: tuple[str, ...]


def plan_folder(
    folder: pathlib.Path, network: FolderNetwork, c_files: Mapping[str, bytes], *, overwrite: bool = False
) -> FolderPlan:
    """The folder with a network, beside those that it has.

    Args:
        folder: Where it is to be; it need not exist.
        network: The network.
        c_files: Its header and its source, by name.
        overwrite: Whether files of the user's are replaced.

    Raises:
        FolderError: Files of the user's are in the way, or the networks of the folder do not fit together.
        OSError: A file can't be read.
    """
    before = _read(folder, overwrite)
    _check_name(folder, before, network.name)
    networks = _with(folder, before, network)
    needed = {kernel for member in networks for kernel in member.kernels}
    try:
        sources = {**runtime_source(needed), **c_files}
    except KeyError as error:
        raise FolderError(f"{folder} has {error.args[0]}: convert its networks again") from error
    files = {**texts(networks), **{f"src/{name}": content for name, content in sources.items()}}
    others = {f"src/{name}" for member in networks if member is not network for name in member.files}
    stale = tuple(
        path for path, own in before.files.items() if path not in files.keys() | others and _checksum(folder / path) == own
    )
    kept = () if overwrite else tuple(path for path, content in files.items() if _is_users(folder, path, content, before))
    _refuse(folder, [path for path in kept if _SOURCE.fullmatch(path)])
    written = {path: content for path, content in files.items() if path not in kept}
    kept_sums = {path: own for path, own in before.files.items() if path in kept or path in others}
    sums = kept_sums | {path: _sum(content) for path, content in written.items()}
    return FolderPlan({**written, MANIFEST: _manifest(networks, sums)}, stale, kept)


def check_folder(folder: pathlib.Path, name: str, *, overwrite: bool = False) -> None:
    """Raises the FolderError that `plan_folder` would, as far as can be told before there is a network."""
    before = _read(folder, overwrite)
    _check_name(folder, before, name)
    if not overwrite:
        sources: dict[str, bytes | None] = {f"src/{file}": content for file, content in runtime_source().items()}
        sources |= dict.fromkeys(("src/kerasq_networks.h", f"src/{name}.h", f"src/{name}.c"))
        _refuse(folder, [path for path, content in sources.items() if _is_users(folder, path, content, before)])


def _refuse(folder: pathlib.Path, paths: list[str]) -> None:
    """Raises FolderError where there are sources of the user's."""
    if paths:
        raise FolderError(
            f"{', '.join(str(folder / path) for path in paths[:5])}{' ...' if len(paths) > 5 else ''}: not written by "
            "kerasq-convert, or changed since; move it away, choose another folder, or replace it with --overwrite"
        )


def _read(folder: pathlib.Path, overwrite: bool) -> _Before:
    try:
        content = (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return _Before()
    try:
        values = json.loads(content)
        networks = {name: from_json(name, fields) for name, fields in values["networks"].items()}
        files = {path: own for path, own in values["files"].items() if _is_path(path) and isinstance(own, str)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if overwrite:
            return _Before()
        message = f"{folder / MANIFEST} is not what kerasq-convert writes ({error}): choose another folder, or --overwrite"
        raise FolderError(message) from error
    return _Before(networks, files)


def _is_path(path: str) -> bool:
    """Whether a folder can have written this: nothing outside of it is ever read or removed."""
    return path in paths() or _SOURCE.fullmatch(path) is not None


def _with(folder: pathlib.Path, before: _Before, network: FolderNetwork) -> list[FolderNetwork]:
    """The networks of a folder whose files are there still, and another one; the order is that in which they came."""
    there = {
        name: member
        for name, member in before.networks.items()
        if name == network.name or all((folder / "src" / file).is_file() for file in member.files)
    }
    return list((there | {network.name: network}).values())


def _check_name(folder: pathlib.Path, before: _Before, name: str) -> None:
    """Not all file systems tell capitals apart."""
    for other in before.networks:
        if other != name and other.lower() == name.lower():
            raise FolderError(
                f"{folder} has a network {other}, which differs from {name} in capitals only: choose another --c_name"
            )


def _is_users(folder: pathlib.Path, path: str, content: bytes | None, before: _Before) -> bool:
    """Whether a file is there that is neither what is to be written, where that is known, nor what was written before."""
    checksum = _checksum(folder / path)
    return checksum is not None and checksum not in (None if content is None else _sum(content), before.files.get(path))


def _checksum(path: pathlib.Path) -> str | None:
    """Of a file's content; None where there is no file."""
    try:
        return _sum(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _sum(content: bytes) -> str:
    """The same however lines end: version control may change that."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def _manifest(networks: list[FolderNetwork], files: Mapping[str, str]) -> bytes:
    values = {
        "written_by": f"kerasq-convert (kerasq {kerasq.__version__})",
        "networks": {network.name: to_json(network) for network in networks},
        "files": dict(sorted(files.items())),
    }
    return (json.dumps(values, indent=1) + "\n").encode()
