"""python -m kerasq.conformance.parity: what it finds it says, keeps, and fails for."""

import sys

import pytest

from kerasq.conformance import fuzz, parity


def test_disagreement_is_noticed(contents, monkeypatch):
    class Claims:
        def __init__(self, *words):
            self.words = list(words)

        def answer(self, content):
            return self.words

    with pytest.raises(parity.MismatchError, match="refuses what Python accepts: status, operator and tensor 4, -1, -1"):
        parity.compare(contents[0], Claims("refused", "4", "-1", "-1"))
    with pytest.raises(parity.MismatchError, match="accepts what Python refuses"):
        parity.compare(b"", Claims("ran"))
    with pytest.raises(parity.MismatchError, match="other integers: tensor 'conv/output' is the first"):
        parity.compare(contents[0], Claims("ran", *["1"] * 8))


def test_a_crash_is_a_mismatch_and_the_next_file_gets_a_new_process(tmp_path, contents):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nif [ -e seen ]; then exec cat > /dev/null; fi\necho 'stack overflow' >&2; exit 77\n")
    program.chmod(0o755)
    with parity.Runtime(program) as runtime:
        for _ in range(2):
            with pytest.raises(parity.MismatchError, match=r"stops with status 77:\nstack overflow"):
                parity.compare(contents[0], runtime)


def test_command(tmp_path, tmp_path_factory, monkeypatch, capsys, contents):
    monkeypatch.chdir(tmp_path)
    program = saying(tmp_path_factory.mktemp("program"), "refused 4 -1 -1")

    def judge(content, answer):
        assert answer == ["refused", "4", "-1", "-1"]
        if content == expected[1]:
            raise parity.MismatchError("they differ")
        return "refused"

    expected = list(fuzz.mutants(contents, 3, 5))
    monkeypatch.setattr(parity, "build", lambda folder: program)
    monkeypatch.setattr(parity, "judge", judge)
    assert parity.main(["--count", "3", "--seed", "5"]) == 1
    assert "parity-5-2.kq: MismatchError: they differ" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"parity-5-2.kq": expected[1]}
    assert parity.main(["--seeds", "seeds"]) == 0
    assert sorted(path.read_bytes() for path in (tmp_path / "seeds").iterdir()) == sorted(contents)


def test_tiers_that_differ_are_a_failure(tmp_path, monkeypatch, capsys, contents):
    monkeypatch.chdir(tmp_path)
    with parity.Runtime(saying(tmp_path, "differs avx2 1")) as runtime:
        counts = parity.tally(contents[:2], 2, runtime, "found", share=10)
    assert counts == {"failed": 2}
    assert "found-2.kq: MismatchError: kernels of tier avx2 refuse the file, compute" in capsys.readouterr().err
    assert (tmp_path / "found-2.kq").read_bytes() == contents[1]


def test_kernels_are_counted_over_all_processes(tmp_path, contents):
    with parity.Runtime(saying(tmp_path, "too large", "kernel portable kq_add 7")) as runtime:
        assert runtime.answers(contents[:2]) == [["too", "large"]] * 2
        assert not runtime.kernels
    assert runtime.kernels == {("portable", "kq_add"): 7}


def saying(folder, answer, rest=""):
    """A program that gives the same answer for every file, and says something more at the end."""
    program = folder / "program"
    lines = [
        "import struct, sys",
        "read = sys.stdin.buffer.read",
        "while size := read(4):",
        "    read(*struct.unpack('<I', size))",
    ]
    lines += [f"    print({answer!r}, flush=True)", f"print({rest!r}) if {rest!r} else None"]
    program.write_text("\n".join([f"#!{sys.executable}", *lines, ""]))
    program.chmod(0o755)
    return program


def test_missing_compiler_is_said(monkeypatch, capsys):
    monkeypatch.setenv("CC", "no-such-compiler")
    assert parity.main(["--count", "1"]) == 1
    assert "no-such-compiler, the C compiler, can't be run" in capsys.readouterr().err
