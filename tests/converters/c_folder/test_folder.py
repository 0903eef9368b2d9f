"""What --c_runtime writes into a folder that there may be already: own files are replaced, the user's stay, networks share."""

from __future__ import annotations

import json
import re

import pytest

import kerasq.runtime
from converters.c_folder.folders import content_of, first, second, write
from kerasq import format as file_format
from kerasq_convert.command import main

pytestmark = pytest.mark.skipif(not kerasq.runtime.available(), reason="needs the native library, which names the kernels")
EXAMPLES = ("main.c", "README.md", "CMakeLists.txt", "examples/selftest/selftest.ino", "zephyr/Kconfig", "library.json")
METADATA = ("idf_component.yml", "library.properties", "zephyr/module.yml", "zephyr/CMakeLists.txt", "kerasq.json")


@pytest.fixture
def folder(tmp_path):
    assert write(first(), tmp_path / "net", "one") == 0
    return tmp_path / "net"


def test_everything_is_there(folder):
    files = content_of(folder)
    assert {*EXAMPLES, *METADATA, "LICENSE"} <= set(files)
    sources = {path for path in files if path.startswith("src/")}
    assert {"src/one.c", "src/one.h", "src/kerasq.h", "src/kerasq_networks.h", "src/kq_network.c"} <= sources
    assert not sources & {"src/kq_lookup.c", "src/kq_conv_wide.c", "src/kq_float.c", "src/kq_portable_kernels.c"}
    assert not any(re.search(rb"@[A-Z_]+@", content) for content in files.values())
    assert not (folder / "one.c").exists()


def test_the_readme_tells_memory_and_files(folder):
    text = (folder / "README.md").read_text()
    model = first()
    row = next(line for line in text.splitlines() if line.startswith("| `one`"))
    assert f"| {len(file_format.dumps(model)):,} | {model.arena_bytes:,}" in row
    assert "image: 16x16x3 UFIXED8_0" in row
    told_together = r"src/(kq_|kerasq_(format|kernels))|zephyr/|README"
    assert all(path in text for path in content_of(folder) if not re.match(told_together, path))
    assert "There is no test vector" not in text


def test_the_state_in_the_readme_is_the_headers(folder):
    model = first()
    recorded = json.loads((folder / "kerasq.json").read_text())["networks"]["one"]["state"]
    header = (folder / "src" / "one.h").read_text()
    tensors, operators = map(int, re.search(r"STATE_BYTES KQ_STATE_BYTES\((\d+)u, (\d+)u\)", header).groups())
    assert (tensors, operators) == (len(model.tensors), len(model.operators))
    api = (folder / "src" / "kerasq.h").read_text()
    parts = dict(re.findall(r"#define KQ_(NETWORK|TENSOR|OPERATOR)_BYTES (.+)", api))
    sizes = {
        name: eval(text.replace("(unsigned)sizeof(void *)", "4").replace("u", ""), {"__builtins__": {}})
        for name, text in parts.items()
    }
    assert recorded == (sizes["NETWORK"] + tensors * sizes["TENSOR"] + operators * sizes["OPERATOR"] + 31) // 8 * 8


def test_the_same_again_changes_nothing(folder, capsys):
    before = content_of(folder)
    assert write(first(), folder, "one") == 0
    assert content_of(folder) == before
    assert "kept" not in capsys.readouterr().out


def test_another_network_replaces_what_was_written_and_removes_what_is_not_needed(folder):
    before = content_of(folder)
    assert write(second(), folder, "one") == 0
    after = content_of(folder)
    assert "src/kq_concat.c" in after.keys() - before.keys()
    assert {"src/kq_dense.c", "src/kq_conv.c", "src/kq_dot.c"} <= before.keys() - after.keys()
    assert after["README.md"] != before["README.md"]
    assert after["main.c"] != before["main.c"]


@pytest.mark.parametrize("path", EXAMPLES)
def test_an_example_that_was_changed_stays(folder, path, capsys):
    (folder / path).write_text("mine")
    assert write(second(), folder, "one") == 0
    assert (folder / path).read_text() == "mine"
    assert f"kept {folder / path}: not written by kerasq-convert, or changed since; --overwrite" in capsys.readouterr().out
    assert write(second(), folder, "one", "--json") == 0
    assert json.loads(capsys.readouterr().out)["kept"] == [str(folder / path)]
    assert write(second(), folder, "one", "--overwrite") == 0
    fresh = content_of(folder)
    assert fresh[path] != b"mine"
    assert write(second(), folder, "one") == 0
    assert content_of(folder) == fresh


def test_files_of_the_users_stay_from_the_beginning(tmp_path):
    folder = tmp_path / "mine"
    (folder / "src").mkdir(parents=True)
    own = {"main.c": b"int main(void) { return 0; }", "README.md": b"# mine", "CMakeLists.txt": b"project(mine)", "src/a.c": b""}
    for path, content in own.items():
        (folder / path).write_bytes(content)
    for model in (first(), second()):
        assert write(model, folder, "one") == 0
        assert own.items() <= content_of(folder).items()
    assert write(first(), folder, "one", "--overwrite") == 0
    after = content_of(folder)
    assert {path for path in own if after[path] == own[path]} == {"src/a.c"}


@pytest.mark.parametrize("path", ["src/kq_network.c", "src/one.c", "src/kerasq_networks.h"])
def test_a_source_that_was_changed_is_an_error(folder, path, capsys):
    with (folder / path).open("a") as file:
        file.write("/* mine */\n")
    before = content_of(folder)
    assert write(second(), folder, "one") == 1
    assert f"{folder / path}: not written by kerasq-convert, or changed since" in capsys.readouterr().err
    assert content_of(folder) == before
    assert write(second(), folder, "one", "--overwrite") == 0
    assert b"/* mine */" not in (folder / path).read_bytes()


def test_line_ends_are_no_change(folder):
    for path in ("main.c", "src/kq_network.c"):
        (folder / path).write_bytes((folder / path).read_bytes().replace(b"\n", b"\r\n"))
    assert write(second(), folder, "one") == 0
    assert b"\r" not in (folder / "main.c").read_bytes()


def test_networks_share_a_folder(folder, tmp_path):
    alone = content_of(folder)
    assert write(second(), folder, "two") == 0
    both = content_of(folder)
    depends = {"src/kerasq_networks.h", "src/kq_kinds.h"}
    sources = {path: content for path, content in alone.items() if path.startswith("src/") and path not in depends}
    assert sources.items() <= both.items()
    assert "src/kq_concat.c" in both
    assert [b"X(CONCAT, concat)" in files["src/kq_kinds.h"] for files in (alone, both)] == [False, True]
    header = both["src/kerasq_networks.h"].decode()
    assert '#include "one.h"\n#include "two.h"' in header
    assert "KERASQ_NETWORKS_LARGER(ONE_ARENA_BYTES, TWO_ARENA_BYTES)" in header
    assert b"run_one(" in both["main.c"]
    assert b"run_two(" in both["main.c"]
    assert b"There is no test vector in two" in both["README.md"]
    assert write(first(), folder, "one") == 0
    assert content_of(folder) == both


def test_a_network_leaves_when_its_files_are_deleted(folder):
    assert write(second(), folder, "two") == 0
    for name in ("one.c", "one.h"):
        (folder / "src" / name).unlink()
    assert write(second(), folder, "two") == 0
    left = content_of(folder)
    assert "src/kq_conv.c" not in left
    assert b"one.h" not in left["src/kerasq_networks.h"]


def test_names_that_differ_in_capitals_only(folder, capsys):
    before = content_of(folder)
    assert write(first(), folder, "One") == 1
    assert "differs from One in capitals only" in capsys.readouterr().err
    assert content_of(folder) == before


def test_a_name_that_the_folder_needs(tmp_path, capsys):
    assert write(first(), tmp_path / "net", "kerasq_networks") == 2
    assert "none of kerasq" in capsys.readouterr().err


OTHER_FILES = [
    "mine",
    "[]",
    '{"networks": 3, "files": {}}',
    '{"networks": {"a": {"bytes": 3}}, "files": {}}',
    '{"networks": {}}',
    "\xff",
]


@pytest.mark.parametrize("text", OTHER_FILES)
def test_another_file_of_that_name(folder, text, capsys):
    (folder / "kerasq.json").write_text(text)
    before = content_of(folder)
    assert write(first(), folder, "one") == 1
    assert "kerasq.json is not what kerasq-convert writes" in capsys.readouterr().err
    assert content_of(folder) == before
    assert write(first(), folder, "one", "--overwrite") == 0


def test_a_list_of_files_leads_nowhere_else(folder, tmp_path):
    import hashlib

    listed = ("../victim.c", "src/../../victim.c", str(tmp_path / "victim.c"), "victim.c", "notes/victim.c")
    (folder / "notes").mkdir()
    for place in (tmp_path / "victim.c", folder / "victim.c", folder / "notes" / "victim.c"):
        place.write_text("victim")
    values = json.loads((folder / "kerasq.json").read_text())
    values["files"] |= dict.fromkeys(listed, hashlib.sha256(b"victim").hexdigest())
    (folder / "kerasq.json").write_text(json.dumps(values))
    assert write(first(), folder, "one") == 0
    for place in (tmp_path / "victim.c", folder / "victim.c", folder / "notes" / "victim.c"):
        assert place.read_text() == "victim"


def test_nothing_is_left_where_writing_fails(tmp_path, capsys):
    (tmp_path / "net" / "src").mkdir(parents=True)
    (tmp_path / "net" / "examples").write_text("a file where a folder should be")
    assert write(first(), tmp_path / "net", "one") == 1
    assert "examples" in capsys.readouterr().err
    assert list(content_of(tmp_path / "net")) == ["examples"]
    assert not (tmp_path / "net" / "zephyr").exists()
    (tmp_path / "folder").write_text("a file")
    assert write(first(), tmp_path / "folder", "one") == 1
    assert (tmp_path / "folder").read_text() == "a file"


def test_the_processor_is_told(tmp_path, capsys):
    assert write(first(), tmp_path / "net", "one", "--target=STM32L4R5") == 0
    files = content_of(tmp_path / "net")
    assert files["src/one.h"].startswith(b"/* one.kq for cortex-m4, as C: ")
    assert b"| one.kq for cortex-m4 |" in files["README.md"]
    assert write(first(), tmp_path / "net", "one", "--target=cortex-m5") == 2
    assert "--flash" not in capsys.readouterr().err  # kerasq-inspect's
    assert content_of(tmp_path / "net") == files


def test_what_goes_with_what(tmp_path, capsys):
    file_format.dump(first(), tmp_path / "net.kq")
    assert main(["kerasq-convert", str(tmp_path / "net.kq"), f"--emit_c={tmp_path}", "--overwrite"]) == 2
    assert "--overwrite goes with --c_runtime" in capsys.readouterr().err


def test_what_is_said(tmp_path, capsys):
    assert write(first(), tmp_path / "net", "one") == 0
    others = len(content_of(tmp_path / "net")) - 1
    assert capsys.readouterr().out == f"wrote {tmp_path / 'net' / 'README.md'} and {others} files beside it\n"
