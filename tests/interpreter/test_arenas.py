"""Arenas that threads lend and give back."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from kerasq.interpreter.arenas import Arenas
from kerasq.runtime.network import address


def pool(most):
    made = []

    def make():
        made.append(np.zeros((1, 64), np.uint8))
        return made[-1]

    return Arenas(make, most), made


def test_the_latest_one_is_used_again():
    arenas, made = pool(None)
    first, second = arenas.take(), arenas.take()
    arenas.give(first)
    arenas.give(second)
    assert arenas.take() is second
    assert [first.address.value, second.address.value] == list(map(address, made))


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_than_there_may_be_and_every_thread_has_one_in_the_end(most):
    arenas, made = pool(most)
    users = dict.fromkeys(range(100), 0)
    overlaps = []

    def work():
        for _ in range(50):
            arena = arenas.take()
            number = next(i for i, memory in enumerate(made) if memory is arena.memory)
            users[number] += 1
            if users[number] > 1:
                overlaps.append(number)
            time.sleep(0)  # another thread's turn
            users[number] -= 1
            arenas.give(arena)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert 1 <= len(made) <= most
    assert overlaps == []


def test_who_waits_gets_what_is_given_back():
    arenas, made = pool(1)
    held, got = arenas.take(), []
    thread = threading.Thread(target=lambda: got.append(arenas.take()), daemon=True)
    thread.start()
    time.sleep(0.05)
    assert got == []
    arenas.give(held)
    thread.join(60)
    assert got == [held]
    assert len(made) == 1


def test_dropped_arenas_make_room():
    arenas, made = pool(1)
    arenas.give(arenas.take())
    arenas.drop()
    arenas.take()
    assert len(made) == 2


def test_an_arena_that_can_not_be_made_leaves_its_place_to_another():
    sizes = iter([1 << 62, 64])
    arenas = Arenas(lambda: np.zeros((1, next(sizes)), np.uint8), 1)
    with pytest.raises(MemoryError):
        arenas.take()
    assert arenas.take().memory.shape == (1, 64)


def test_who_waits_for_an_arena_that_can_not_be_made_makes_it():
    making, go, got = threading.Event(), threading.Event(), []

    def make():
        if making.is_set():
            return np.zeros((1, 64), np.uint8)
        making.set()
        go.wait(60)
        raise MemoryError

    def failing():
        with pytest.raises(MemoryError):
            arenas.take()

    arenas = Arenas(make, 1)
    threads = [threading.Thread(target=work, daemon=True) for work in (failing, lambda: got.append(arenas.take()))]
    for thread in threads:
        thread.start()
        assert making.wait(60)
    time.sleep(0.05)
    assert got == []
    go.set()
    for thread in threads:
        thread.join(10)
    assert len(got) == 1
