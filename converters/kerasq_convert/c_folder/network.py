"""What a folder must know of each of its networks."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from kerasq.footprint.costs import costs_of
from kerasq.format import Tensor, loads
from kerasq_convert.c_source import kernels_of, networks_of

_CORE = "m4"  # state is as large on every processor of 32 bits
# Of the fields that a file keeps.
_TYPES = {
    "title": str,
    "kernels": list,
    "bytes": int,
    "arena": list,
    "state": int,
    "inputs": list,
    "outputs": list,
    "tested": bool,
}


@dataclasses.dataclass(frozen=True)
class FolderNetwork:
    """A network of a folder.

    Attributes:
        name: First part of the names of its files and symbols.
        title: Where it comes from.
        kernels: Those that it uses, for every processor.
        bytes: Of the network itself.
        arena: Bytes of working memory, with the portable kernels and with those for the DSP extension.
        state: Bytes of state on a processor of 32 bits.
        inputs: What each input is, for a reader.
        outputs: The same of each output.
        tested: Whether it carries a test vector.
    """

    name: str
    title: str
    kernels: tuple[str, ...]
    bytes: int
    arena: tuple[int, int]
    state: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tested: bool

    @property
    def prefix(self) -> str:
        """First part of the names of its macros."""
        return self.name.upper()

    @property
    def files(self) -> tuple[str, str]:
        """Its header and its source."""
        return f"{self.name}.h", f"{self.name}.c"


def network_of(content: bytes, name: str, title: str) -> FolderNetwork:
    """What there is to know of a .kq file.

    Raises:
        kerasq.format.ModelError: It is refused.
    """
    model = loads(content)
    networks = networks_of(content)
    ends = (
        tuple(_described(label, model.tensors[index]) for label, index in named.items())
        for named in (model.named_inputs(), model.named_outputs())
    )
    portable, dsp = (network.arena_bytes for network in networks)
    inputs, outputs = ends
    return FolderNetwork(
        name=name,
        title=title,
        kernels=tuple(sorted(kernels_of(*networks))),
        bytes=len(content),
        arena=(portable, dsp),
        state=costs_of(_CORE).state_bytes(len(model.tensors), len(model.operators)),
        inputs=inputs,
        outputs=outputs,
        tested=model.test is not None,
    )


def _described(label: str, tensor: Tensor) -> str:
    return f"{label}: {'x'.join(map(str, tensor.shape[1:]))} {tensor.format}"


def to_json(network: FolderNetwork) -> dict[str, Any]:
    """As a file keeps it, under its name."""
    values = dataclasses.asdict(network)
    del values["name"]
    return values


def from_json(name: str, values: Any) -> FolderNetwork:
    """The network that `to_json` wrote.

    Raises:
        TypeError, ValueError: It did not write this.
    """
    if not isinstance(values, dict) or values.keys() != _TYPES.keys():
        raise ValueError("fields are missing, or too many")
    if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) or any(type(values[field]) is not kind for field, kind in _TYPES.items()):
        raise ValueError("a field is not what it should be")
    if any(not isinstance(text, str) for field in ("kernels", "inputs", "outputs") for text in values[field]):
        raise ValueError("a list has an entry that is no text")
    if len(values["arena"]) != 2 or any(type(size) is not int for size in values["arena"]):
        raise ValueError("there are two sizes of the arena")
    entries: dict[str, Any] = {field: tuple(value) if isinstance(value, list) else value for field, value in values.items()}
    return FolderNetwork(name=name, **entries)
