"""Files that appear whole or not at all, and what is no file stays what it is."""

import os
import pathlib
import stat
import subprocess
import sys
import threading

import pytest

from kerasq import files
from kerasq.files import check_writable, temporary_folder, write_all, write_whole

posix = pytest.mark.skipif(os.name != "posix", reason="links, modes and pipes are POSIX's")


@pytest.fixture(params=["unnamed", "named"])
def way(request, monkeypatch):
    """Both ways to a file that is not there yet."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_writes_and_replaces(tmp_path, way):
    (tmp_path / "a").write_text("old")
    write_all({tmp_path / "a": b"new", tmp_path / "b": b""})
    assert contents(tmp_path) == {"a": b"new", "b": b""}
    write_whole(tmp_path / "b", b"whole")
    assert (tmp_path / "b").read_bytes() == b"whole"


@pytest.mark.parametrize("wrong", ["missing/b", "folder", "a/b", "x" * 256])
def test_one_that_can_not_be_written_leaves_all_as_they_were(tmp_path, way, wrong):
    (tmp_path / "folder").mkdir()
    (tmp_path / "a").write_text("old")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OSError, match=wrong) as raised:
        write_all({tmp_path / "a": b"new", tmp_path / wrong: b"x", tmp_path / "c": b"x"})
    assert raised.value.filename == str(tmp_path / wrong)
    with pytest.raises(type(raised.value), match=wrong):
        check_writable(tmp_path / wrong)
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_may_be_as_long_as_the_system_permits(tmp_path, way):
    for content in (b"new", b"newer"):
        write_whole(tmp_path / ("x" * 255), content)
        assert contents(tmp_path) == {"x" * 255: content}


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o4711])
def test_a_file_keeps_its_mode(tmp_path, way, mode):
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(mode)
    write_whole(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
def test_a_new_file_has_the_mode_of_new_files(tmp_path, way):
    (tmp_path / "plain").touch()
    write_whole(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@posix
@pytest.mark.parametrize("target", ["target", "sub/target", "another", "missing"])
def test_a_link_stays_and_its_target_is_written(tmp_path, way, target):
    (tmp_path / "sub").mkdir()
    for name in ("target", "sub/target"):
        (tmp_path / name).write_text("old")
    (tmp_path / "another").symlink_to("target")
    (tmp_path / "link").symlink_to(target)
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").readlink() == pathlib.Path(target)
    assert (tmp_path / target).read_bytes() == b"new"
    assert (tmp_path / "another").is_symlink()


@posix
def test_links_in_circles(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        write_whole(tmp_path / "a", b"")
    assert (tmp_path / "a").is_symlink()


@posix
def test_a_pipe_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    content = bytes(range(256)) * 1000  # more than a pipe holds
    write_all({tmp_path / "pipe": content, tmp_path / "file": b"x"})
    reader.join()
    assert received == [content]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="there is no full device")
def test_a_device_is_written_to_and_a_full_one_fails_before_any_file_is_there(tmp_path):
    (tmp_path / "null").symlink_to("/dev/null")
    write_whole(tmp_path / "null", b"x")
    assert (tmp_path / "null").is_symlink()
    assert stat.S_ISCHR(pathlib.Path("/dev/null").stat().st_mode)
    with pytest.raises(OSError, match="No space left") as raised:
        write_all({tmp_path / "a": b"x", pathlib.Path("/dev/full"): b"x"})
    assert raised.value.filename == "/dev/full"
    assert [path.name for path in tmp_path.iterdir()] == ["null"]


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_and_an_interruption_leave_nothing(tmp_path, way, monkeypatch, error):
    def stops(descriptor, content):
        raise error

    monkeypatch.setattr(files, "_write_to", stops)
    (tmp_path / "a").write_text("old")
    with pytest.raises(type(error)):
        write_all({tmp_path / "a": b"new", tmp_path / "b": b"x"})
    assert contents(tmp_path) == {"a": b"old"}


@posix
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_is_written_to_after_what_was_printed(tmp_path, name):
    code = (
        f"import pathlib; from kerasq.files import write_whole; print('before'); write_whole({name!r}, b'bytes'); print('after')"
    )
    with (tmp_path / "file").open("wb") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    assert (tmp_path / "file").read_text() == "before\nbytesafter\n"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"before\nbytesafter\n"


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="the superuser may write anywhere")
def test_a_protected_file_stays(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o400)
    with pytest.raises(PermissionError):
        write_whole(tmp_path / "a", b"new")
    assert contents(tmp_path) == {"a": b"old"}


KILLED = """
import os, pathlib, signal, sys
from kerasq import files

if sys.argv[1] == "named":
    del os.O_TMPFILE
write = files._write_to
def half(descriptor, content):
    write(descriptor, content[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
files._write_to = half
files.write_whole("a", b"content")
"""


@posix
def test_a_kill_leaves_nothing_but_what_the_next_one_removes(tmp_path, way):
    named = "unnamed" if hasattr(os, "O_TMPFILE") else "named"
    (tmp_path / "a").write_text("old")
    (tmp_path / ".kerasq-mine.tmp").touch()  # not a name of ours
    subprocess.run([sys.executable, "-c", KILLED, named], cwd=tmp_path, check=False)
    left = set(contents(tmp_path)) - {"a", ".kerasq-mine.tmp"}
    assert len(left) == (named == "named")
    assert (tmp_path / "a").read_text() == "old"
    write_whole(tmp_path / "b", b"")
    assert set(contents(tmp_path)) == {"a", "b", ".kerasq-mine.tmp"}


@posix
def test_files_on_their_way_are_not_taken_for_abandoned_ones(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    others = iter(range(3))
    write = files._write_to

    def meanwhile(descriptor, content):
        number = next(others, None)
        if number is not None:
            write_whole(tmp_path / f"other{number}", b"")
        write(descriptor, content)

    monkeypatch.setattr(files, "_write_to", meanwhile)
    write_whole(tmp_path / "a", b"whole")
    assert contents(tmp_path) == {"a": b"whole", "other0": b"", "other1": b"", "other2": b""}


@posix
def test_a_temporary_folder_outlives_neither_its_context_nor_a_kill_for_long(tmp_path, monkeypatch):
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    code = (
        f"import tempfile, os; tempfile.tempdir = {str(tmp_path)!r}; from kerasq.files import temporary_folder\n"
        "with temporary_folder() as folder: (folder / 'a').touch(); os.kill(os.getpid(), 9)"
    )
    with temporary_folder() as first:
        subprocess.run([sys.executable, "-c", code], check=False)
        assert len(list(tmp_path.iterdir())) == 2
        with temporary_folder() as second:
            assert sorted(tmp_path.iterdir()) == sorted([first, second])
    assert list(tmp_path.iterdir()) == []
