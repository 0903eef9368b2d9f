"""A .tflite file as a classifier, with a stand-in for LiteRT."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from kerasq.evaluation import EvaluationError, evaluate, open_classifiers

IMAGE = (4, 4, 3)


@pytest.fixture
def litert(monkeypatch):
    """Networks whose scores are the stored values of the first pixels of an image, times 1/2; what happened is in the object."""
    seen = types.SimpleNamespace(dtype=np.int8, quantization=(1.0, -128), batches=[], resized=[], threads=None)

    class Interpreter:
        def __init__(self, model_content, num_threads):
            if model_content != b"TFL3":
                raise ValueError("no\nmodel")
            seen.threads, self.shape = num_threads, (1, *IMAGE)

        def allocate_tensors(self):
            pass

        def resize_tensor_input(self, index, shape):
            seen.resized.append(shape)
            self.shape = tuple(shape)

        def get_input_details(self):
            common = {"name": "x", "index": 0, "dtype": seen.dtype, "quantization": seen.quantization}
            return [common | {"shape": np.array(self.shape)}]

        def get_output_details(self):
            return [{"name": "y", "index": 1, "dtype": np.int8, "quantization": (0.5, 3)}]

        def set_tensor(self, index, values):
            assert values.shape == self.shape
            seen.batches.append(values)

        def invoke(self):
            pass

        def get_tensor(self, index):
            return seen.batches[-1].reshape(len(seen.batches[-1]), -1)[:, :10].astype(np.int8)

    module = types.ModuleType("ai_edge_litert.interpreter")
    module.Interpreter = Interpreter
    monkeypatch.setitem(sys.modules, "ai_edge_litert", types.ModuleType("ai_edge_litert"))
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", module)
    return seen


@pytest.fixture
def path(tmp_path):
    (tmp_path / "net.tflite").write_bytes(b"TFL3")
    return tmp_path / "net.tflite"


def test_pixels_are_stored_as_they_are(litert, path):
    images = np.random.default_rng(0).integers(0, 256, (5, *IMAGE)).astype(np.uint8)
    labels = images.reshape(5, -1)[:, :10].argmax(1)
    (result,) = evaluate([path], images, labels, batch_size=2, num_threads=3)
    assert (result.top1, result.model_bytes, litert.threads) == (1.0, 4, 3)
    stored = [batch for batch in litert.batches if len(batch) == 2][-1]
    np.testing.assert_array_equal(stored, images[2:4].astype(np.int16) - 128)
    assert stored.dtype == np.int8
    assert [len(shape) for shape in litert.resized] == [4] * len(litert.resized)


@pytest.mark.parametrize(
    ("dtype", "quantization", "expected"),
    [(np.int8, (0.5, 10), [-128, 9, 10, 13, 127]), (np.uint8, (0.5, 10), [0, 9, 10, 13, 255]), (np.float32, (0.0, 0), None)],
)
def test_values_are_quantized_as_the_file_says(litert, path, dtype, quantization, expected):
    litert.dtype, litert.quantization = dtype, quantization
    values = np.resize(np.array([-1e6, -0.5, 0, 1.5, 1e6], np.float32), (1, *IMAGE))
    (classifier,) = open_classifiers([path], IMAGE, 10)
    scores = classifier.scores(values)
    assert litert.batches[-1].dtype == dtype
    if expected is not None:
        assert litert.batches[-1].ravel()[:5].tolist() == expected
        np.testing.assert_array_equal(scores[0, 1:4], (np.array(expected[1:4], np.float32) - 3) / 2)


def test_files_that_are_none(litert, path):
    path.write_bytes(b"junk")
    with pytest.raises(EvaluationError, match=r"net\.tflite: it is not a network that LiteRT runs: no model"):
        open_classifiers([path], IMAGE, 10)


def test_without_litert(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(EvaluationError, match=r"net\.tflite: it needs LiteRT: pip install 'kerasq\[bench\]'"):
        open_classifiers([path], IMAGE, 10)
