"""How much memory a network may take, and how many arenas that leaves room for.

A file of a few bytes may describe a network that takes gigabytes; nothing in the format is wrong with that. So whoever runs it
says how much it may have.
"""

from __future__ import annotations

from kerasq.format.errors import ModelTooLargeError

MAX_BYTES = 1 << 30


def arenas(state_bytes: int, arena_bytes: int, max_bytes: int | None) -> int | None:
    """How many arenas may exist at once; `None` for any number.

    Args:
        state_bytes: What the network takes once.
        arena_bytes: What each thread takes in addition.
        max_bytes: What all of it may take; `None` for any amount.

    Raises:
        ModelTooLargeError: Not even one fits.
    """
    if max_bytes is None:
        return None
    if state_bytes + arena_bytes > max_bytes:
        needed = (
            f"{state_bytes + arena_bytes:,} bytes of memory ({state_bytes:,} of state, {arena_bytes:,} of arena for a thread)"
        )
        allowed = f"more than max_bytes={max_bytes:,} allows: if you trust the file, allow more"
        raise ModelTooLargeError([f"it takes {needed}, {allowed}"])
    return (max_bytes - state_bytes) // max(arena_bytes, 1)


def threads(wanted: int | None, processors: int, fitting: int | None) -> int:
    """How many threads may run a network.

    Args:
        wanted: A number, or `None` for as many as there are processors and arenas fit.
        processors: Their number.
        fitting: As `arenas` returns it.

    Raises:
        ValueError: More are wanted than fit.
    """
    if fitting is None:
        return wanted or processors
    if wanted is not None and wanted > fitting:
        raise ValueError(
            f"`num_threads` must be at most {fitting}: more arenas don't fit into max_bytes. Received: num_threads={wanted}"
        )
    return wanted or min(processors, fitting)
