"""The stage that finds out what values a network takes, and what it should compute."""

from __future__ import annotations

import dataclasses
import functools
import os

import numpy as np

from kerasq.format import Model
from kerasq.statistics import Statistics
from kerasq_convert.building import in_float
from kerasq_convert.comparison.logits import with_logits
from kerasq_convert.comparison.outputs import Arrays, Wanted, run
from kerasq_convert.comparison.trained import as_trained
from kerasq_convert.errors import ConversionError
from kerasq_convert.examples.dataset import EXAMPLES, TUNED
from kerasq_convert.network import Network
from kerasq_convert.observation.calibration import calibrate
from kerasq_convert.observation.observed import by_buffer
from kerasq_convert.options import Options


@dataclasses.dataclass(frozen=True)
class Examples:
    """Examples that ran through the float network.

    Attributes:
        reference: The float network.
        trained: The same with the rounding of its own quantizers: what outputs are compared with.
        inputs: The first of the examples, an array (count, ...) for each of its inputs.
        measured: Those of them that repairs are computed from.
        tuned: Those that rounding is learned from: none of `held`. With `tune` there are more of both than of `inputs`.
        held: All others, and what the network makes of them: by these it is judged.
    """

    reference: Model
    trained: Model
    inputs: Arrays
    measured: Arrays
    held: Wanted
    tuned: Arrays

    @functools.cached_property
    def outputs(self) -> Arrays:
        """The trained network's outputs for `inputs`, logits in place of probabilities."""
        return run(with_logits(self.trained), self.inputs, engine="reference")  # BLAS: the faster one in float


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is known of a network's values.

    Attributes:
        statistics: Of its buffers, by name; `None`: nothing.
        examples: `None` where there was no dataset.
    """

    statistics: Statistics | None = None
    examples: Examples | None = None


def observe(network: Network, trained: Statistics | None, options: Options) -> Observed:
    """Runs the representative dataset through the network, or takes what a training observed.

    Raises:
        ConversionError: The dataset can't be used.
    """
    if options.representative_dataset is None:
        return Observed(None if trained is None else by_buffer(network.graph, network.names, trained))
    reference = in_float(network)
    shipped = as_trained(reference, network)
    statistics, inputs = calibrate(
        reference,
        options.representative_dataset,
        ordered=network.graph.ordered,
        verbose=options.verbose,
        examples=TUNED if options.tune else EXAMPLES,
    )
    held = Wanted.of(shipped, [held_back(array) for array in inputs])
    tuned, inputs = [array[::2] for array in inputs], [array[:EXAMPLES] for array in inputs]
    return Observed(statistics, Examples(reference, shipped, inputs, [array[::2] for array in inputs], held, tuned))


def held_back(array: np.ndarray) -> np.ndarray:
    """Of what there is of each example, that of the examples by which a network is judged: every second one."""
    return array[1::2] if len(array) > 1 else array


def load_statistics(source: str | os.PathLike | Statistics | None) -> Statistics | None:
    """What a training observed.

    Raises:
        ConversionError: The file can't be read, or holds something else.
    """
    if source is None or isinstance(source, Statistics):
        return source
    try:
        return Statistics.load(source)
    except OSError as error:
        place = os.fspath(error.filename or source)  # of a folder, the file in it
        raise ConversionError(place, [f"the statistics can't be read: {error.strerror}"]) from error
    except ValueError as error:
        raise ConversionError(os.fspath(source), [str(error)]) from error
