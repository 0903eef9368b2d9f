"""What --output writes where its name ends as one of TFLite."""

from __future__ import annotations

import pathlib

from kerasq.commands.arguments import CommandError, naming
from kerasq.commands.outputs import NETWORK, TFLITE, Output, kind_of
from kerasq.format import loads


def network_output(name: str) -> Output:
    """The --output of this name: a .kq file, or one of TFLite."""
    return Output("--output", name, TFLITE if kind_of(name) == TFLITE else NETWORK)


def tflite_file(content: bytes, source: pathlib.Path) -> tuple[bytes, list[str]]:
    """The network of a .kq file as a TFLite file, and what is to be told of it.

    Args:
        content: The .kq file.
        source: Where it comes from, for errors.

    Raises:
        CommandError: TFLite has no equivalent of some of it.
    """
    from kerasq_convert.tflite import TfliteError, to_tflite  # with TensorFlow, which has the schema

    with naming(source):
        model = loads(content)
    try:
        file = to_tflite(model)
    except TfliteError as error:
        raise CommandError(*error.problems, "nothing was written") from error
    told = [f"tflite  {len(file.content):,} bytes"]
    if file.clipped:
        told.append(f"{file.clipped:,} weights of -128 are -127 in the TFLite file: its kernels take no -128")
    return file.content, told
