"""What a search of formats starts from: the network, what was observed of it, and what builds it with these or those formats."""

from __future__ import annotations

import dataclasses

from kerasq.statistics import Statistics
from kerasq_convert.building import Builder
from kerasq_convert.graph import Graph
from kerasq_convert.network import Network
from kerasq_convert.observation.observe import Observed, observe
from kerasq_convert.options import Options
from kerasq_convert.passes.simplify import simplify
from kerasq_convert.repair.bias_correction import BiasCorrection
from kerasq_convert.repair.repair import bias_correction
from kerasq_convert.search.scaled import scaled_if_better
from kerasq_convert.search.speed import for_speed
from kerasq_convert.settings import Settings


@dataclasses.dataclass(frozen=True)
class Start:
    """A network whose formats are still to be chosen.

    Attributes:
        network: Its kernels as the model has them.
        observed: What values it takes.
        as_observed: The same before activations were scaled.
        correction: Corrects the biases of what is built; `None`: nothing does.
        build: Chooses formats, emits operators and plans memory, of the network with multipliers.
    """

    network: Network
    observed: Observed
    as_observed: Observed
    correction: BiasCorrection | None
    build: Builder


def start(
    graph: Graph, settings: Settings, options: Options, trained: Statistics | None = None, observed: Observed | None = None
) -> Start:
    """The stages up to the choice of formats.

    Args:
        graph: As the front end read it.
        settings: The user's.
        options: What they ask for.
        trained: What a training observed.
        observed: What was observed of this very network, its activations as they are; `None`: it is observed.

    Raises:
        ConversionError: The model, the settings or the data can't be used.
    """
    network = simplify(graph, settings, equalized=options.equalize)
    as_observed = observe(network, trained, options) if observed is None else observed
    network, observed = scaled_if_better(network, as_observed, settings, options)
    correction = bias_correction(network, observed, options)
    accurate = Builder.with_multipliers(network, settings, observed.statistics, options)
    return Start(network, observed, as_observed, correction, for_speed(network, accurate, observed, correction, options))
