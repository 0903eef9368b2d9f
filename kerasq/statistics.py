"""Statistics of all tensors of a network, in one file: written while a network trains, read when it is converted.

A tensor is known by its layer: `conv1/output` is what the layer `conv1` returns, `conv1/kernel` its kernel as it computes
with it (quantized), `image` the network's input of that name. Layers of a nested model carry the path: `block/conv1/output`.
`dense/before_activation` is what the activation function inside a layer reads; other tensors inside of layers, and those outside
of any, are known by their place (`kerasq.scopes`): `gate/Mul`, `Relu_1`.

Example:

>>> statistics = Statistics()
>>> statistics.add("conv1/output", np.array([-0.5, 0.0, 1.25]))
>>> [str(candidate.qformat) for candidate in candidate_formats(statistics["conv1/output"])]
['FIXED8_6', 'FIXED8_7', 'FIXED8_8', 'FIXED8_9']
"""

from __future__ import annotations

import collections
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kerasq import qformat as qformats
from kerasq.files import write_whole
from kerasq.histogram import Histogram
from kerasq.qformat import QFormat
from kerasq.text import printable, shown, table

FILE_NAME = "activation_statistics.json"
FILE_FORMAT = "kerasq.statistics"
FILE_VERSION = 1
MAX_FILE_BYTES = 1 << 28  # ten thousand tensors with bins that all hold some values take less


class Statistics(collections.UserDict[str, Histogram]):
    """A mapping from the name of a tensor to its `Histogram`.

    Args:
        histograms: First contents.

    Attributes:
        metadata: JSON values by name: from which model, how many samples, after which epoch.
        inputs: Names of the network's inputs, in the order in which it takes them.
        places: The name of the tensor at each place of the exported graph (`kerasq.scopes`), as far as that is known.
    """

    def __init__(self, histograms: Mapping[str, Histogram] | None = None, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(histograms or {})
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.inputs: list[str] = []
        self.places: dict[str, str] = {}

    def add(self, name: str, values: np.typing.ArrayLike) -> None:
        """Takes `values` into the histogram called `name`, a new one where there is none yet."""
        if name not in self:
            self[name] = Histogram()
        self[name].add(values)

    def merge(self, other: Statistics) -> None:
        """Takes in every histogram of `other`."""
        for name, histogram in other.items():
            if name not in self:
                self[name] = Histogram()
            self[name].merge(histogram)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a JSON file; a file that was there is replaced at once, never left half written."""
        document = {
            "format": FILE_FORMAT,
            "version": FILE_VERSION,
            "metadata": self.metadata,
            "inputs": self.inputs,
            "places": self.places,
            "tensors": {name: histogram.to_dict() for name, histogram in self.items()},
        }
        write_whole(path, json.dumps(document, allow_nan=False).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Statistics:
        """The statistics in a file.

        Args:
            path: A file that `save` wrote, or the folder that `kerasq.callbacks.ActivationStatistics` wrote into.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged, of another kind or of a later version.
        """
        path = pathlib.Path(path)
        if path.is_dir():
            path = path / FILE_NAME
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
            if len(content) > MAX_FILE_BYTES:
                raise ValueError(f"it is larger than {MAX_FILE_BYTES:,} bytes")
            return cls._from_document(json.loads(content))
        except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
            raise ValueError(
                f"Not a statistics file that this version reads: {error}. Expected what Statistics.save or the callback "
                f"kerasq.callbacks.ActivationStatistics wrote. Received: path={os.fspath(path)!r}"
            ) from None

    @classmethod
    def _from_document(cls, document: Any) -> Statistics:
        if not isinstance(document, dict) or document.get("format") != FILE_FORMAT:
            raise ValueError(f'it does not begin with "format": "{FILE_FORMAT}"')
        if document.get("version") != FILE_VERSION:
            raise ValueError(f"its version is {shown(document.get('version'))}, this is version {FILE_VERSION}")
        metadata, tensors = document.get("metadata"), document.get("tensors")
        if not isinstance(metadata, dict) or not isinstance(tensors, dict):
            raise ValueError("`metadata` or `tensors` is missing")
        statistics = cls(metadata=metadata)
        # Version 0.1.0 wrote neither: layers' tensors were told from inputs by their slash, and known by name alone.
        inputs = document.get("inputs", [name for name in tensors if "/" not in name])
        places = document.get("places", {})
        if not isinstance(inputs, list) or not isinstance(places, dict):
            raise ValueError("`inputs` must be a list of names and `places` a mapping from places to names")
        if not all(isinstance(name, str) for name in (*inputs, *places.values())):
            raise ValueError("`inputs` and `places` must hold names")
        statistics.inputs, statistics.places = inputs, places
        for name, description in tensors.items():
            try:
                statistics[name] = Histogram.from_dict(description)
            except ValueError as error:
                raise ValueError(f"tensor {shown(name)} is {error}") from None
        return statistics

    def to_text(self, bits: int = 8) -> str:
        """A table: one line per tensor with its range, percentiles and what formats of `bits` bits would saturate."""
        header = ("tensor", "min", "0.1 %", "mean", "std", "99.9 %", "max", "zeros", "saturated share by format")
        return table(header, [_row(name, histogram, bits) for name, histogram in self.items()], right=header[1:-1])


def _row(name: str, histogram: Histogram, bits: int) -> tuple[str, ...]:
    values = (
        histogram.min,
        histogram.percentile(0.1),
        histogram.mean,
        histogram.std,
        histogram.percentile(99.9),
        histogram.max,
    )
    zeros = histogram.zeros / histogram.count if histogram.count else 0.0
    shares = [f"{candidate.qformat} {percent(candidate.saturated_share)}" for candidate in candidate_formats(histogram, bits)]
    strange = [f"{count} {what}" for count, what in ((histogram.nan, "NaN"), (histogram.infinite, "infinite")) if count]
    return (printable(name), *(f"{value:.4g}" for value in values), percent(zeros), ", ".join([*strange, *shares]))


def percent(share: float) -> str:
    """A share as a percentage in three digits that never rounds something to nothing: `0 %`, `0.0021 %`, `12.5 %`."""
    return f"{100 * share:.3g} %" if share >= 1e-6 or share == 0 else "<0.0001 %"


class Candidate(NamedTuple):
    """A format that a tensor may be stored in, and what that costs.

    Attributes:
        qformat: The format.
        saturated_share: Share of the values beyond its range.
        squared_error: Mean squared error of its values.
    """

    qformat: QFormat
    saturated_share: float
    squared_error: float


def candidate_formats(histogram: Histogram, bits: int = 8, *, signed: bool = True, finer: int = 3) -> list[Candidate]:
    """The formats worth a thought: the finest that saturates nothing, and finer ones that cut ever more off the ends.

    Args:
        histogram: Statistics of a tensor.
        bits: Width of the formats, 4, 8, 16 or 32 (32 for signed ones only).
        signed: Whether the formats are FIXED rather than UFIXED. An unsigned format saturates every negative value, so
            the range of the first candidate is that of the positive ones.
        finer: How many formats beyond the first.

    Returns:
        `finer + 1` candidates, the coarsest first; fewer where 63 fractional bits end them. Without any value but zero
        all formats are alike: only the one with `bits - 1` (unsigned: `bits`) fractional bits. None before the
        first finite value.
    """
    if not histogram.count:
        return []
    family = qformats.fixed(bits, None, signed)
    first = family.finest(histogram.min, histogram.max)
    if first is None:
        formats = [family.with_frac_bits(bits - 1 if signed else bits)]
    else:
        last = min(first + finer, qformats.MAX_FRAC_BITS)
        formats = [family.with_frac_bits(frac_bits) for frac_bits in range(first, last + 1)]
    return [Candidate(choice, histogram.saturated_share(choice), histogram.squared_error(choice)) for choice in formats]
