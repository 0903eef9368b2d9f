"""A program that runs many networks: the runtime is compiled once, and linked with as many of them as a board's memory holds."""

import pathlib
from collections.abc import Iterable, Iterator

from firmware import call, linking, runtime_compiler, runtime_objects
from processors import PROCESSORS

BATCH_BYTES = 3 << 20  # what fits the boards' 4 MB


def packed(content: bytes) -> bytes:
    """A .kq file as such a program takes it: its size before it, both padded to 8 bytes."""
    return len(content).to_bytes(8, "little") + content + bytes(-len(content) % 8)


def batches(networks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Packed networks, so many at a time as fit."""
    batch: list[bytes] = []
    for network in networks:
        if batch and sum(map(len, batch)) + len(network) > BATCH_BYTES:
            yield batch
            batch = []
        batch.append(network)
    if batch:
        yield batch


class Program:
    """The runtime with all its kernels, compiled for a processor.

    Args:
        folder: An empty one for everything that is built.
        cpu: A name of `PROCESSORS`.
        main: The program's source, which runs what lies in the file networks.bin.
        options: More of them for the compiler.

    Raises:
        BuildError: A tool is missing or reports an error.
    """

    def __init__(self, folder: pathlib.Path, cpu: str, main: pathlib.Path, *options: str) -> None:
        self._folder = folder
        processor = PROCESSORS[cpu]
        self._compile = runtime_compiler(folder, processor, *options)
        self._last = [*linking(processor), str(main)]
        self._objects = runtime_objects(self._compile, folder, processor)

    def linked(self, batch: list[bytes]) -> pathlib.Path:
        """The program with a batch of networks."""
        (self._folder / "networks.bin").write_bytes(b"".join(batch))
        path = self._folder / "networks.elf"
        call([*self._compile, f"-Wa,-I{self._folder}", *self._last, *self._objects, "-o", str(path)])
        return path
