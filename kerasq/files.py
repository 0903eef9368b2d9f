"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import pathlib
import secrets


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes `content` to a new file in the same folder, which then takes the name: nobody ever sees a part of it.

    Raises:
        OSError: The folder does not exist or can't be written to; nothing is left behind.
    """
    target = pathlib.Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
