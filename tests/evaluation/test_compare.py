"""What evaluation counts, on classifiers made of functions."""

import numpy as np
import pytest

from kerasq.conformance.samples import SAMPLES
from kerasq.evaluation import Classifier, EvaluationError, Result, compare, evaluate, format_table, open_classifiers
from kerasq.evaluation.source import Source
from kerasq.format import dump
from kerasq.runtime import library

LABELS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 2)
IMAGES = np.tile(LABELS[:, None, None, None], (1, 2, 2, 1)).astype(np.uint8)  # every pixel is the class


def classifier(name, run, dtype=np.float32, single=False, arena_bytes=32):
    source = Source(None, run, model_bytes=100, arena_bytes=lambda: arena_bytes)
    return Classifier(name, source, np.dtype(dtype), single)


def one_hot(batch):
    return np.eye(10)[batch[:, 0, 0, 0].astype(int)]


def test_counts():
    def mostly_right(batch):
        scores = one_hot(batch)
        scores[batch[:, 0, 0, 0] >= 8] = 0  # no winner: the first class counts
        return scores

    right, mostly = compare([classifier("right", one_hot), classifier("mostly", mostly_right)], IMAGES, LABELS)
    assert (right.top1, right.stderr, right.agreement) == (1.0, 0.0, 1.0)
    assert (mostly.top1, mostly.agreement) == (0.8, 0.8)
    assert mostly.stderr == pytest.approx((0.8 * 0.2 / 20) ** 0.5)
    assert (mostly.images, mostly.model_bytes, mostly.arena_bytes, mostly.footprint_bytes) == (20, 100, 32, 132)
    assert mostly.ms_per_image > 0


def test_agreement_is_with_the_first_model_not_with_the_labels():
    def wrong(batch):
        return np.roll(one_hot(batch), 1, axis=1)

    results = compare([classifier("wrong", wrong), classifier("wrong too", wrong), classifier("right", one_hot)], IMAGES, LABELS)
    assert [(result.top1, result.agreement) for result in results] == [(0.0, 1.0), (0.0, 1.0), (1.0, 0.0)]


def test_nan_is_never_right():
    def broken(batch):
        return np.full((len(batch), 10), np.nan)

    (result,) = compare([classifier("broken", broken)], IMAGES, np.zeros(20, int))
    assert result.top1 == 0.0


@pytest.mark.parametrize("wrap", [lambda y: [y], lambda y: {"scores": y}, lambda y: y[:, None, None, :]])
def test_outputs_come_in_several_guises(wrap):
    (result,) = compare([classifier("wrapped", lambda batch: wrap(one_hot(batch)))], IMAGES, LABELS)
    assert result.top1 == 1.0


@pytest.mark.parametrize(("single", "sizes"), [(False, {8, 4}), (True, {1})])
def test_batches(single, sizes):
    seen = []

    def run(batch):
        seen.append(len(batch))
        return one_hot(batch)

    (result,) = compare([classifier("model", run, single=single)], IMAGES, LABELS, batch_size=8)
    assert set(seen) == sizes
    assert result.top1 == 1.0


@pytest.mark.parametrize(("dtype", "expected"), [(np.float32, 0.5), (np.float16, 0.5), (np.uint8, 3), (np.int32, 3)])
def test_input_scale_and_offset_apply_to_values_not_to_integers(dtype, expected):
    seen = []

    def run(batch):
        seen.append(batch)
        return one_hot(batch)

    compare([classifier("model", run, dtype)], IMAGES[3:4], LABELS[3:4], input_scale=0.5, input_offset=-1.0)
    assert all(batch.dtype == dtype and np.all(batch == expected) for batch in seen)


@pytest.mark.parametrize(
    ("images", "labels", "batch_size", "message"),
    [
        (IMAGES, LABELS[:5], 8, "one label for each"),
        (IMAGES, LABELS[:, None], 8, "one label for each"),
        (IMAGES[:0], LABELS[:0], 8, "at least one image"),
        (IMAGES, LABELS, 0, "batch_size=0"),
    ],
)
def test_arguments_that_make_no_sense(images, labels, batch_size, message):
    with pytest.raises(ValueError, match=message):
        evaluate([], images, labels, batch_size=batch_size)


def test_table():
    known = Result("float.keras", 0.8163, 10_000, 397_608, 196_608, 12.345, 1.0)
    unknown = Result("odd\x1b.h5", 0.5, 100, 40_000, None, 0.05, 0.123)
    lines = format_table([known, unknown]).splitlines()
    assert lines[0].split("  ")[0] == "model"
    assert lines[1].split() == ["float.keras", "81.63", "±", "0.39", "397,608", "196,608", "594,216", "12.35", "1.234", "100.00"]
    assert lines[2].split() == [r"odd\x1b.h5", "50.00", "±", "5.00", "40,000", "-", "-", "0.05", "0.500", "12.30"]
    assert len({len(line) for line in lines}) == 1


def test_dict_of_a_result():
    result = Result("model.kq", 0.75, 40, 1000, None, 0.08, 0.5)
    assert result.as_dict() == {
        "model": "model.kq",
        "top1": 0.75,
        "stderr": pytest.approx(0.0684653),
        "images": 40,
        "model_bytes": 1000,
        "arena_bytes": None,
        "footprint_bytes": None,
        "seconds": 0.08,
        "ms_per_image": 2.0,
        "agreement": 0.5,
    }


def test_a_library_that_is_none_is_named(tmp_path, monkeypatch):
    dump(SAMPLES["binary"](), tmp_path / "net.kq")
    (tmp_path / "text.so").write_text("text")
    monkeypatch.setenv("KERASQ_LIBRARY", str(tmp_path / "text.so"))
    library.load.cache_clear()
    try:
        with pytest.raises(EvaluationError, match=r"net\.kq: it can't be read: .*text\.so is not the native library"):
            open_classifiers([str(tmp_path / "net.kq")], (6, 5, 3), 3)
    finally:
        library.load.cache_clear()
