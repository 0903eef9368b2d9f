"""Files that appear whole or not at all.

What is written goes to a file without a name, in the folder of the file that it will be (O_TMPFILE: it is gone if the process
is), which takes the name when all is written. Where a system has no such files, or where a name is taken already, there is a
temporary name: `.kerasq-` and random digits. The process that writes holds a lock on such a file; the next one to write into the
folder removes those that nobody holds. The name is short, so that the file's own may be as long as the system permits.

A file that exists keeps its mode and owner. Of a link, the target is written. A device or a pipe is written to, and
stays what it is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping

try:
    import fcntl
except ImportError:  # Windows: stale names stay there
    fcntl = None  # type: ignore[assignment]

_MOST_LINKS = 40  # as in Linux
_TEMPORARY = re.compile(r"\.kerasq-[0-9a-f]{16}\.tmp")
_FOLDER_PREFIX = "kerasq-"
_LOCK = ".kerasq-lock"


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes `content` under the name `path`: nobody ever sees a part of it, unless that is a device or a pipe.

    Raises:
        OSError: The folder does not exist or can't be written to; nothing is left behind.
    """
    write_all({pathlib.Path(path): content})


def write_all(contents: Mapping[pathlib.Path, bytes | memoryview]) -> None:
    """Writes several files: each whole, and none of them before all could be written; devices and pipes before the others.

    Raises:
        OSError: A file can't be written: its `filename`. Nothing is left behind.
    """
    pending: list[_Pending] = []
    streams = []
    path = pathlib.Path()
    try:
        for path, content in contents.items():
            place = destination(path)
            if _is_stream(place):
                streams.append((path, place, content))
            elif isinstance(place, pathlib.Path):
                pending.append(_Pending(path, place))
                pending[-1].write(content)
        for path, place, content in streams:  # noqa: B007  (`path` is for the error)
            _write_through(place, content)
        for file in pending:
            path = file.path
            file.commit()
    except OSError as error:
        if error.errno is not None:  # else the error is a text of its own, which a file name would replace
            error.filename, error.filename2 = os.fspath(path), None
        raise
    finally:
        for file in pending:
            file.discard()


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raises the OSError that `write_whole` would, as far as can be told beforehand. Writes nothing."""
    place = destination(pathlib.Path(path))
    try:
        if not _is_stream(place) and isinstance(place, pathlib.Path):
            _Pending(place, place).discard()
    except OSError as error:
        error.filename, error.filename2 = os.fspath(path), None
        raise


def destination(path: pathlib.Path) -> pathlib.Path | int:
    """What is written under a name: the end of a chain of links, or an open descriptor (`/dev/stdout`, `/dev/fd/3`).

    Raises:
        OSError: The links go in circles.
    """
    for _ in range(_MOST_LINKS):
        folder = os.path.realpath(path.parent)
        if folder == f"/proc/{os.getpid()}/fd" and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            return path
        path = pathlib.Path(folder, path.readlink())
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))


def _is_stream(place: pathlib.Path | int) -> bool:
    """Whether this is written to rather than replaced: a device, a pipe, a socket or an open descriptor."""
    if isinstance(place, int):
        return True
    with contextlib.suppress(FileNotFoundError):
        mode = place.stat().st_mode
        return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
    return False


def _write_through(place: pathlib.Path | int, content: bytes | memoryview) -> None:
    if isinstance(place, int):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()  # what was printed before comes before
        _write_to(place, content)
        return
    descriptor = os.open(place, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
    try:
        _write_to(descriptor, content)
    finally:
        os.close(descriptor)


def _write_to(descriptor: int, content: bytes | memoryview) -> None:
    rest = memoryview(content)
    while len(rest):
        rest = rest[os.write(descriptor, rest) :]


class _Pending:
    """A file that is written and has no name yet, or a temporary one."""

    def __init__(self, path: pathlib.Path, target: pathlib.Path) -> None:
        self.path = path
        self._target = target
        self._name: pathlib.Path | None = None
        self._descriptor = -1
        try:
            self._replaced: os.stat_result | None = target.stat()
        except FileNotFoundError:
            self._replaced = None
        if self._replaced is not None:
            if stat.S_ISDIR(self._replaced.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not os.access(target, os.W_OK):  # its user has protected it
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        _sweep(target.parent)
        self._descriptor = _unnamed(target.parent)
        if self._descriptor < 0:
            self._name, self._descriptor = _named(target.parent)

    def write(self, content: bytes | memoryview) -> None:
        """All of it, down to the disk."""
        if self._replaced is not None and hasattr(os, "fchmod"):
            with contextlib.suppress(OSError):  # only the superuser can give a file away
                os.fchown(self._descriptor, self._replaced.st_uid, self._replaced.st_gid)
            os.fchmod(self._descriptor, stat.S_IMODE(self._replaced.st_mode))
        _write_to(self._descriptor, content)
        os.fsync(self._descriptor)

    def commit(self) -> None:
        """Give it the name."""
        if self._name is None and self._replaced is None:
            with contextlib.suppress(FileExistsError):  # a file has come meanwhile
                _link(self._descriptor, self._target)
                return
        if self._name is None:
            name = _temporary_name(self._target.parent)
            self._name = name  # first: an interruption finds it
            _link(self._descriptor, name)
        if os.name == "nt":
            self._close()
        self._name.replace(self._target)
        self._name = None

    def discard(self) -> None:
        """Remove what did not get its name, if anything."""
        if self._name is not None:
            self._name.unlink(missing_ok=True)
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _unnamed(folder: pathlib.Path) -> int:
    """A descriptor of a new file without a name, locked; -1 where there is no such thing."""
    if not hasattr(os, "O_TMPFILE") or not pathlib.Path("/proc/self/fd").is_dir():
        return -1
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except OSError:  # the file system or the kernel has none, or the folder is no good: a named file tells which
        return -1
    _lock(descriptor)
    return descriptor


def _named(folder: pathlib.Path) -> tuple[pathlib.Path, int]:
    while True:
        name = _temporary_name(folder)
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        if _lock(descriptor) and (os.name == "nt" or os.fstat(descriptor).st_nlink):
            return name, descriptor
        os.close(descriptor)  # another process took it for a stale one, before it was locked


def _temporary_name(folder: pathlib.Path) -> pathlib.Path:
    return folder / f".kerasq-{secrets.token_hex(8)}.tmp"


def _link(descriptor: int, name: pathlib.Path) -> None:
    # Any `src_dir_fd` makes os.link call linkat, which follows the link in /proc; an absolute path does not use it.
    os.link(f"/proc/self/fd/{descriptor}", name, src_dir_fd=0)


def _lock(descriptor: int) -> bool:
    """Whether nobody else holds the file; from now on this process does."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True


def _abandoned(path: str | os.PathLike[str]) -> bool:
    """Whether the process that wrote this file of ours is gone."""
    if fcntl is None:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(descriptor).st_uid == os.getuid()
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _sweep(folder: pathlib.Path) -> None:
    """Removes temporary names that processes have left that were killed."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and _abandoned(entry.path):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108


@contextlib.contextmanager
def temporary_folder() -> Iterator[pathlib.Path]:
    """A folder for the time of a context. Those of processes that were killed are removed by the next one."""
    place = pathlib.Path(tempfile.gettempdir())
    for old in place.glob(f"{_FOLDER_PREFIX}*"):
        if not old.is_symlink() and _abandoned(old / _LOCK):
            shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_FOLDER_PREFIX, ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        with (folder / f"{_LOCK}.new").open("xb") as lock:
            _lock(lock.fileno())
            pathlib.Path(lock.name).rename(folder / _LOCK)  # only now: nobody ever sees the lock without its holder
            yield folder
