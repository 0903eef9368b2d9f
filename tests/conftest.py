"""What all tests share."""

import gc

import pytest


def pytest_collection_finish():
    """What is imported stays: to look through TensorFlow's objects for garbage, over and over, took a twentieth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def wide_lines(monkeypatch):
    """Tables are as wide as they like, whatever terminal the tests run in."""
    monkeypatch.delenv("COLUMNS", raising=False)
