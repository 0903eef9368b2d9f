"""Files that appear whole or not at all."""

import pytest

from kerasq.files import write_all, write_whole


def test_writes_and_replaces(tmp_path):
    (tmp_path / "a").write_text("old")
    write_all({tmp_path / "a": b"new", tmp_path / "b": b""})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"new", "b": b""}
    write_whole(tmp_path / "b", b"whole")
    assert (tmp_path / "b").read_bytes() == b"whole"


@pytest.mark.parametrize("wrong", ["missing/b", "folder"])
def test_one_that_can_not_be_written_leaves_all_as_they_were(tmp_path, wrong):
    (tmp_path / "folder").mkdir()
    (tmp_path / "a").write_text("old")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OSError, match=wrong) as raised:
        write_all({tmp_path / "a": b"new", tmp_path / wrong: b"x", tmp_path / "c": b"x"})
    assert raised.value.filename == str(tmp_path / wrong)
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(tmp_path.rglob("*")) == before
