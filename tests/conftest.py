"""What all tests share."""

import pytest


@pytest.fixture(autouse=True)
def wide_lines(monkeypatch):
    """Tables are as wide as they like, whatever terminal the tests run in."""
    monkeypatch.delenv("COLUMNS", raising=False)
