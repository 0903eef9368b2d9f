"""Working memory that threads lend and give back: as much as ever was in use at once, and no more than there may be."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kerasq.runtime.network import address


class Arena(NamedTuple):
    """Working memory for one example.

    Attributes:
        memory: Array (1, bytes).
        address: Of its first byte, as a C object.
    """

    memory: np.ndarray
    address: ctypes.c_void_p


class Arenas:
    """Arenas that are not in use, the latest one first, as it is in the cache.

    Args:
        make: Makes another array.
        most: How many may exist at once; `None` for any number.

    As long as there is one to take, nothing is locked: `list.pop` and `list.append` are atomic. Who finds none, and may make
    none, says so (`_waiting`) before looking once more, so that who gives one back sees it, and wakes.
    """

    def __init__(self, make: Callable[[], np.ndarray], most: int | None) -> None:
        self._make, self._most = make, most
        self._idle: list[Arena] = []
        self._existing = self._waiting = 0
        self._changed = threading.Condition()

    def take(self) -> Arena:
        """An arena that no other thread has until it is given back."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._made_or_awaited()

    def give(self, arena: Arena) -> None:
        """Gives an arena back."""
        self._idle.append(arena)
        if self._waiting:
            with self._changed:
                self._changed.notify()

    def drop(self) -> None:
        """Forgets those that are not in use: their memory is free for something else."""
        with self._changed:
            while self._idle:
                try:
                    self._idle.pop()
                except IndexError:
                    break
                self._existing -= 1
            self._changed.notify_all()

    def _made_or_awaited(self) -> Arena:
        with self._changed:
            self._waiting += 1
            try:
                while True:
                    if self._idle:
                        try:
                            return self._idle.pop()
                        except IndexError:
                            continue  # another thread was faster
                    if self._most is None or self._existing < self._most:
                        self._existing += 1
                        break
                    self._changed.wait()
            finally:
                self._waiting -= 1
        try:
            memory = self._make()
        except BaseException:
            with self._changed:
                self._existing -= 1
                self._changed.notify()
            raise
        return Arena(memory, ctypes.c_void_p(address(memory)))
