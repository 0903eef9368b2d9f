"""What is done to a .kq file after a conversion, or without one: a test vector goes in, memory is planned anew."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from kerasq.commands.arguments import CommandError, naming
from kerasq.commands.run import read_inputs
from kerasq.format import dumps, loads
from kerasq.selftest import random_example, with_selftest
from kerasq_convert.memory.plan import plan

RANDOM = "random"  # in place of a file with an example


def with_test_vector(content: bytes, source: pathlib.Path, examples: Sequence[str]) -> bytes:
    """The .kq file with an example and the checksums of what it leads to.

    Args:
        content: The .kq file.
        source: Where it comes from, for errors.
        examples: As --embed_test takes them.

    Raises:
        CommandError: The examples are not what the network takes.
    """
    with naming(source):
        model = loads(content)
    if list(examples) == [RANDOM]:
        return dumps(with_selftest(model, random_example(model)))
    is_archive = len(examples) == 1 and examples[0].endswith(".npz")
    if len(examples) != len(model.inputs) and not is_archive:
        names = ", ".join(map(repr, model.named_inputs()))
        plural = "" if len(model.inputs) == 1 else "s"
        raise CommandError(
            f"the network has {len(model.inputs)} input{plural} ({names}): --embed_test takes a file for each, in this order, or "
            f"as NAME=FILE, or one .npz file, or once {RANDOM}. Received: {len(examples)} files"
        )
    arrays, _ = read_inputs(model, examples)
    try:
        return dumps(with_selftest(model, arrays))
    except (ValueError, TypeError) as error:
        raise CommandError(f"--embed_test: {error}") from error


def replanned(content: bytes, source: pathlib.Path) -> tuple[bytes, str]:
    """The file with the better one of its own memory plan and a new one, and what that gained."""
    with naming(source):
        model = loads(content)
    planned = plan(model)
    if planned.model.arena_bytes >= model.arena_bytes:
        return content, f"arena  {model.arena_bytes:,} bytes: no smaller plan was found"
    return dumps(planned.model), f"arena  {planned.model.arena_bytes:,} bytes, {planned.verdict} (before: {model.arena_bytes:,})"
