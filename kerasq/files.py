"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import pathlib
import secrets
from collections.abc import Mapping


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes `content` to a new file in the same folder, which then takes the name: nobody ever sees a part of it.

    Raises:
        OSError: The folder does not exist or can't be written to; nothing is left behind.
    """
    write_all({pathlib.Path(path): content})


def write_all(contents: Mapping[pathlib.Path, bytes]) -> None:
    """Writes several files: each whole, and none of them before all could be written under another name beside it.

    Raises:
        OSError: A file can't be written: its `filename`. Nothing is left behind.
    """
    # In the same folder, so that all that is left to do at the end is to rename.
    temporaries = {path: path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp") for path in contents}
    target = pathlib.Path()
    try:
        for (target, temporary), content in zip(temporaries.items(), contents.values(), strict=True):
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            with temporary.open("xb") as file:
                file.write(content)
        for target, temporary in temporaries.items():
            temporary.replace(target)
    except OSError as error:
        if error.errno is not None:  # else the error is a text of its own, which a file name would replace
            error.filename = os.fspath(target)
        raise
    finally:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)
