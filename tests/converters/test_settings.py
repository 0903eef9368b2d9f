"""The settings file: what it accepts, and what it says of mistakes."""

import pytest

from kerasq.qformat import QFormat
from kerasq_convert import ConversionError
from kerasq_convert.settings import Settings

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


def test_missing_and_empty_files(tmp_path):
    with pytest.raises(ConversionError, match="can't be read"):
        Settings.load(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert Settings.load(tmp_path / "empty.yaml").buffer("image") is None
