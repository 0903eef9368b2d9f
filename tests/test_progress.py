from __future__ import annotations

import io

import pytest

from kerasq import progress as module
from kerasq.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module.time, "monotonic", clock.monotonic)
    return clock


def test_bar_with_rate_and_time_left(clock):
    stream = Terminal()
    with Progress("predict", 400, "images", stream=stream) as progress:
        clock.now += 30
        progress.advance(100)
    bar, final = stream.getvalue().split("\r")[1:]
    assert bar == f"predict  25% [{'=' * 7}>{' ' * 22}] 100/400 images, 3.333/s, 1:30 left"
    assert final.rstrip() == "predict  100/400 images in 30.0 s, 3.333/s"
    assert final.endswith("\n")


def test_the_final_line_covers_the_bar(clock):
    stream = Terminal()
    with Progress("x", 2, stream=stream) as progress:
        clock.now += 1
        progress.advance(2)
    bar, final = stream.getvalue().split("\r")[1:]
    assert len(final.rstrip("\n")) == len(bar)
    assert "100%" in bar


def test_it_draws_seldom(clock):
    stream = Terminal()
    progress = Progress("x", 1000, stream=stream)
    for _ in range(1000):
        clock.now += 0.001
        progress.advance()
    progress.close()
    assert stream.getvalue().count("\r") < 15


def test_without_a_total_there_is_a_count(clock):
    stream = Terminal()
    with Progress("x", None, "batches", stream=stream) as progress:
        clock.now += 2
        progress.advance(3)
    assert stream.getvalue().split("\r")[1] == "x  3 batches, 1.5/s"


@pytest.mark.parametrize("total", [0, None])
def test_nothing_to_do(clock, total):
    stream = Terminal()
    with Progress("x", total, stream=stream) as progress:
        progress.advance(0)
    assert "0" in stream.getvalue()


def test_silent_where_there_is_no_terminal(clock):
    stream = io.StringIO()
    with Progress("x", 3, stream=stream) as progress:
        progress.advance(3)
    assert stream.getvalue() == ""


def test_a_forced_final_line(clock):
    stream = io.StringIO()
    with Progress("x", 3, stream=stream, force=True) as progress:
        clock.now += 1
        progress.advance(3)
    assert stream.getvalue() == "x  3/3 steps in 1.0 s, 3/s\n"


def test_disabled(clock):
    stream = Terminal()
    with Progress("x", 3, stream=stream, enabled=False, force=True) as progress:
        progress.advance(3)
    assert stream.getvalue() == ""
