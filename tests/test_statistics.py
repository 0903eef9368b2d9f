import json
import os
import subprocess
import sys

import numpy as np
import pytest

from kerasq.qformat import QFormat
from kerasq.statistics import Candidate, Histogram, Statistics, candidate_formats, percent


def histogram_of(values):
    histogram = Histogram()
    histogram.add(np.asarray(values))
    return histogram


@pytest.fixture
def statistics():
    rng = np.random.default_rng(1)
    result = Statistics(metadata={"epoch": 3})
    result.add("image", rng.integers(0, 256, (4, 8, 8, 3), np.uint8))
    result.add("conv1/output", rng.normal(size=1000))
    result.add("conv1/output", rng.normal(size=1000) * 9)
    result.add("broken/output", [np.nan, np.inf, 0.25])
    return result


def contents(statistics):
    return {name: histogram.to_dict() for name, histogram in statistics.items()}


def test_importing_loads_no_framework():
    code = "import sys, kerasq.statistics; print([m for m in ('tensorflow', 'keras', 'matplotlib') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_is_a_mapping(statistics):
    assert list(statistics) == ["image", "conv1/output", "broken/output"]
    assert statistics["conv1/output"].count == 2000
    assert "conv2/output" not in statistics


def test_merge(statistics):
    other = Statistics()
    other.add("conv1/output", np.ones(5))
    other.add("conv2/output", np.ones(7))
    statistics.merge(other)
    assert statistics["conv1/output"].count == 2005
    assert statistics["conv2/output"].count == 7
    statistics.add("conv2/output", np.ones(1))
    assert other["conv2/output"].count == 7


def test_file_round_trip(statistics, tmp_path):
    path = tmp_path / "statistics.json"
    statistics.save(path)
    again = Statistics.load(path)
    assert contents(again) == contents(statistics)
    assert again.metadata == {"epoch": 3}
    assert [file.name for file in tmp_path.iterdir()] == ["statistics.json"]


def test_the_folder_of_the_callback_is_a_path_too(statistics, tmp_path):
    statistics.save(tmp_path / "activation_statistics.json")
    assert contents(Statistics.load(tmp_path)) == contents(statistics)


def test_a_failed_save_leaves_the_old_file(statistics, tmp_path):
    path = tmp_path / "statistics.json"
    statistics.save(path)
    before = path.read_bytes()
    statistics.metadata["model"] = object()
    with pytest.raises(TypeError):
        statistics.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["statistics.json"]


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Statistics.load(tmp_path / "nothing.json")


def without(document, name):
    return {key: value for key, value in document.items() if key != name}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda document: [], "format"),
        (lambda document: document | {"format": "other"}, "format"),
        (lambda document: document | {"version": 2}, "version is 2"),
        (lambda document: without(document, "version"), "version is None"),
        (lambda document: without(document, "tensors"), "tensors"),
        (lambda document: document | {"metadata": None}, "metadata"),
        (lambda document: document | {"tensors": {"conv9/output": {}}}, "conv9/output"),
        (lambda document: document | {"tensors": {"conv9/output": 3}}, "conv9/output"),
    ],
)
def test_foreign_files_are_refused_with_a_reason(statistics, tmp_path, damage, reason):
    path = tmp_path / "statistics.json"
    statistics.save(path)
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(ValueError, match=r"Not a statistics file .*Received: path=") as error:
        Statistics.load(path)
    assert reason in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'{"format": "kerasq.statistics"', b"[" * 100_000, b"9" * 5000])
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "statistics.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="Not a statistics file"):
        Statistics.load(path)


def document(**changes):
    whole = {"format": "kerasq.statistics", "version": 1, "metadata": {}, "tensors": {"a": histogram_of([0.5]).to_dict()}}
    return json.dumps(whole | changes)


@pytest.mark.parametrize(
    "content",
    [
        document(version=10**4000),
        document(version="x" * 5000),
        document(tensors={"a": {}, "x" * 5000: {"count": "y" * 5000}}),
        document(tensors={"x" * 5000: {}}),
        document(tensors={"a": histogram_of([0.5]).to_dict() | {"count": "y" * 5000}}),
        document(tensors={"a": histogram_of([0.5]).to_dict() | {"count": 10**4000, "zeros": 10**4000 - 1}}),
        document(tensors={"a": [[[]]] * 1000}),
        document(tensors=[1]),
    ],
    ids=range(8),
)
def test_hostile_files_are_one_short_error(tmp_path, content):
    path = tmp_path / "statistics.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="Not a statistics file") as error:
        Statistics.load(path)
    assert len(str(error.value)) < 500 + len(str(path))


@pytest.mark.skipif(os.name != "posix", reason="devices are POSIX's")
def test_a_file_without_an_end(monkeypatch):
    monkeypatch.setattr("kerasq.statistics.MAX_FILE_BYTES", 1 << 20)
    with pytest.raises(ValueError, match="larger than 1,048,576 bytes"):
        Statistics.load("/dev/zero")


def test_text_names_every_tensor_and_what_is_wrong_with_it(statistics):
    lines = statistics.to_text().splitlines()
    assert [line.split()[0] for line in lines] == ["tensor", "image", "conv1/output", "broken/output"]
    assert "FIXED8_-2 0 %" in lines[1]
    assert "1 NaN, 1 infinite, FIXED8_8 0 %" in lines[3]
    assert "FIXED16_7 0 %" in statistics.to_text(bits=16).splitlines()[1]


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (1, "100 %"), (0.125, "12.5 %"), (2.1e-5, "0.0021 %"), (1e-9, "<0.0001 %")]
)
def test_percent(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("values", "bits", "signed", "first"),
    [
        ([1.0], 8, True, "FIXED8_6"),
        ([0.99], 8, True, "FIXED8_7"),
        ([127.49 / 128], 8, True, "FIXED8_7"),
        ([127.5 / 128], 8, True, "FIXED8_6"),
        ([-1.0], 8, True, "FIXED8_7"),
        ([-128.5 / 128], 8, True, "FIXED8_7"),
        ([-128.6 / 128], 8, True, "FIXED8_6"),
        ([255], 8, True, "FIXED8_-2"),
        ([254], 8, True, "FIXED8_-1"),
        ([255], 8, False, "UFIXED8_0"),
        ([-9.0, 1.5], 8, False, "UFIXED8_7"),
        ([0.003], 8, True, "FIXED8_15"),
        ([3.0, -4.0], 16, True, "FIXED16_13"),
        ([0.0], 8, True, "FIXED8_7"),
        ([0.0], 8, False, "UFIXED8_8"),
        ([-1.0], 8, False, "UFIXED8_8"),
    ],
)
def test_first_candidate_is_the_finest_that_saturates_nothing(values, bits, signed, first):
    candidate = candidate_formats(histogram_of(values), bits, signed=signed)[0]
    assert str(candidate.qformat) == first
    if min(values) >= 0 or signed:
        assert candidate.saturated_share == 0


def test_candidates_get_finer_and_saturate_more():
    candidates = candidate_formats(histogram_of(np.random.default_rng(2).normal(size=10_000)), finer=4)
    frac_bits = [candidate.qformat.frac_bits for candidate in candidates]
    assert frac_bits == list(range(frac_bits[0], frac_bits[0] + 5))
    shares = [candidate.saturated_share for candidate in candidates]
    assert shares == sorted(shares)
    assert shares[0] == 0 < shares[-1]
    assert all(isinstance(candidate, Candidate) and candidate.squared_error > 0 for candidate in candidates)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2.0**60, ["FIXED8_-32", "FIXED8_-31", "FIXED8_-30", "FIXED8_-29"]),
        (-(2.0**127), ["FIXED8_-32", "FIXED8_-31", "FIXED8_-30", "FIXED8_-29"]),
        (2.0**-55, ["FIXED8_61", "FIXED8_62", "FIXED8_63"]),
        (2.0**-100, ["FIXED8_63"]),
        (5e-324, ["FIXED8_63"]),
    ],
)
def test_candidates_at_the_ends_of_the_frac_bits(value, expected):
    assert [str(candidate.qformat) for candidate in candidate_formats(histogram_of([value]))] == expected


def test_no_candidates_without_values():
    assert candidate_formats(histogram_of([np.nan])) == []


def test_candidates_saturate_as_the_arithmetic_does():
    values = np.random.default_rng(3).normal(size=500)
    for candidate in candidate_formats(histogram_of(values)):
        unlimited = QFormat.parse("FIXED32_0").with_frac_bits(candidate.qformat.frac_bits).quantize(values)
        expected = np.mean(unlimited != candidate.qformat.quantize(values))
        assert candidate.saturated_share == pytest.approx(expected, abs=1e-12)
