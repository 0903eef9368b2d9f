"""The settings file: what it accepts, and what it says of mistakes."""

import os

import pytest
import yaml

from kerasq.qformat import QFormat
from kerasq_convert import ConversionError
from kerasq_convert.settings import Settings, settings
from kerasq_convert.settings import file as settings_file

BUFFERS = ["image", "conv1_relu/output", "conv2_relu/output"]
PARAMETERS = ["conv1/kernel", "conv1/bias"]


def test_exact_name_beats_pattern_and_later_pattern_beats_earlier(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("buffers:\n  'conv*/output': FIXED8\n  conv1_relu/output: FIXED16_12\n  '*relu/output': UFIXED8_4\n")
    settings = Settings.load(path)
    assert settings.buffer("conv1_relu/output") == QFormat.parse("FIXED16_12")
    assert settings.buffer("conv2_relu/output") == QFormat.parse("UFIXED8_4")
    assert settings.buffer("image") is None
    assert settings.problems(BUFFERS, PARAMETERS) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("buffers:\n  conv1_rleu/output: FIXED8\n", ["'conv1_rleu/output'", "did you mean 'conv1_relu/output'"]),
        ("buffers:\n  'dense*': FIXED8\n", ["'dense*'"]),
        ("buffers:\n  conv1/kernel: FIXED8\n", ["belongs under parameters"]),
    ],
)
def test_names_that_fit_nothing(tmp_path, text, words):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    (problem,) = Settings.load(path).problems(BUFFERS, PARAMETERS)
    assert all(word in problem for word in words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("buffers:\n  image: FIXED9\n  other: FIXE8\n", ["image", "FIXED9", "other", "did you mean 'FIXED8'", "2 problems"]),
        ("buffer:\n  image: FIXED8\n", ["'buffer'", "did you mean 'buffers'"]),
        ("buffers:\n  image: FIXED8\n  image: FIXED16\n", ["image stands twice", "line 2"]),
        ("buffers: [image\n", ["not valid YAML"]),
        ("- image\n", ["sections"]),
        ("buffers:\n  - image\n", ["'buffers' must hold lines"]),
        ("buffers:\n  image: 8\n", ["image", "8"]),
        ("buffers:\n  image: FIXED8_99\n", ["FIXED8_99", "63"]),
    ],
)
def test_broken_files_say_what_is_wrong(tmp_path, text, words):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(ConversionError) as error:
        Settings.load(path)
    assert str(path) in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)


LEVELS = "".join(f"  x{i}: &{chr(97 + i)} [{','.join(['*' + chr(96 + i)] * 9)}]\n" for i in range(1, 9))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("buffers:\n  x0: &a [1,1,1,1,1,1,1,1,1]\n" + LEVELS, "anchors and aliases"),
        ("buffers: &a\n  image: FIXED8\nparameters: *a\n", "anchors and aliases"),
        ("buffers: &a [*a]\n", "anchors and aliases"),
        ("buffers:\n  <<: {image: FIXED8}\n", "'<<': A format is one of"),
        ("[" * 3000, "nest"),
        ("buffers:\n  " + "{a: " * 3000, "nested deeper"),
        ("? " * 3000, "a name must be a text, line 1"),
        ("".join(f"{' ' * n}- \n" for n in range(1000)), "nested deeper"),
        ("buffers:\n  image: " + "9" * 5000, "A format is one of"),
        ("buffers:\n  image: 0x" + "f" * 5000, "A format is one of"),
        ("buffers:\n  image: FIXED8_" + "9" * 5000, "A format is one of"),
        ("buffers:\n  " + "9" * 1000 + ": FIXED99", "'99999"),
        ("9" * 1000 + ": FIXED8", "there is no section '9999"),
        ("9" * 5000 + ": FIXED8", "not valid YAML"),  # which limits names to 1,024 characters
        ("buffers: " + "9" * 5000, "must hold lines"),
        ("buffers: !!python/object/apply:os.system [id]", "must hold lines"),
        ("buffers: 2001-02-30", "must hold lines"),
        ("{a: FIXED8}: b\n", "a name must be a text"),
        ("buffers:\n  image: FIXED8\n---\nbuffers:\n", "second document"),
        ("buffers:\n  image: FIXED8\0", "not valid YAML"),
        ("buffers:\n  image: \x1b[31m", "not valid YAML"),
        ("# " + "x" * (1 << 22), "larger than 4,194,304 bytes"),
    ],
    ids=range(22),
)
def test_hostile_files_are_one_short_error(tmp_path, text, words):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(ConversionError) as error:
        Settings.load(path)
    assert words in str(error.value)
    assert str(error.value).startswith(str(path))
    assert len(str(error.value)) < 600 + len(str(path))


def test_the_parser_in_python_takes_and_refuses_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(settings_file, "_LOADER", settings_file.yaml.SafeLoader)
    path = tmp_path / "settings.yaml"
    path.write_text("buffers:\n  'conv*/output': FIXED8\n  on: FIXED16\nparameters:\n")
    assert Settings.load(path).buffer("on") == QFormat.parse("FIXED16")
    path.write_text("[" * 3000)
    with pytest.raises(ConversionError, match="nested deeper"):
        Settings.load(path)


@pytest.mark.skipif(os.name != "posix", reason="devices are POSIX's")
@pytest.mark.parametrize(("name", "words"), [("/dev/zero", "larger than"), (".", "can't be read: Is a directory")])
def test_what_is_no_file(name, words):
    with pytest.raises(ConversionError, match=words):
        Settings.load(name)


def test_thousands_of_unknown_names_are_counted(tmp_path, monkeypatch):
    searched = []
    monkeypatch.setattr(settings.difflib, "get_close_matches", lambda name, *_, **__: searched.append(name) or [])
    path = tmp_path / "settings.yaml"
    path.write_text("buffers:\n" + "".join(f"  conv{n}/output: FIXED8\n  'x{n}*': FIXED8\n" for n in range(1000)))
    problems = Settings.load(path).problems([f"layer{n}/output" for n in range(500)], PARAMETERS)
    assert len(problems) == 21
    assert problems[-1] == "and 1,980 more like these"
    assert len(searched) == 20


def test_thousands_of_wrong_types_are_counted(tmp_path):
    with pytest.raises(ConversionError) as error:
        Settings.load({"buffers": {f"conv{n}/output": "FIXED7" for n in range(4000)}})
    assert error.value.problems[-1] == "and 3,980 more like these"


def test_no_nearest_name_of_an_endless_one():
    problems = Settings.load({"buffers": {"x" * 100_000: "FIXED8"}}).problems(BUFFERS, PARAMETERS)
    assert len(problems[0]) < 200


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({10**5000: {}}, "there is no section a huge integer"),
        ({"buffers": {10**5000: "FIXED8"}}, "a huge integer: the name of a tensor is a text"),
        ({"buffers": {"image": 10**5000}}, "Received: a huge integer"),
        ({"buffers": {"image": [["x"]]}}, "Received: list"),
        ({"buffers": {None: "FIXED8"}}, "None: the name of a tensor is a text"),
    ],
)
def test_wrong_values_in_a_mapping(document, words):
    with pytest.raises(ConversionError, match=words):
        Settings.load(document)


def test_patterns_tell_tensors_apart():
    given = Settings.load({"buffers": {"a/*": "FIXED8", "*": "FIXED16", "b/output": "FIXED8"}})
    assert given.tell_apart("a/output", "b/output")
    assert not given.tell_apart("a/output", "a/sum")
    assert given.tell_apart("b/output", "c/output")
    assert not given.tell_apart("c/output", "b/output")


def test_missing_and_empty_files(tmp_path):
    with pytest.raises(ConversionError, match="can't be read"):
        Settings.load(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert Settings.load(tmp_path / "empty.yaml").buffer("image") is None


@pytest.mark.parametrize("empty", ["", "~", "null"])
@pytest.mark.parametrize("loader", ["SafeLoader", "CSafeLoader"])
def test_a_section_may_be_empty(tmp_path, monkeypatch, empty, loader):
    monkeypatch.setattr(settings_file, "_LOADER", getattr(yaml, loader, yaml.SafeLoader))
    (tmp_path / "settings.yaml").write_text(f"buffers: {empty}\n  # image: FIXED8_4\nparameters: {{conv/kernel: SIGN}}\n")
    given = Settings.load(tmp_path / "settings.yaml")
    assert given.buffer("image") is None
    assert str(given.parameter("conv/kernel")) == "SIGN"
