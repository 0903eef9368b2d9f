"""A conversion with other options, in memory: what a remedy does to the outputs, and what it costs.

The network is built anew from the graph that the front end read: formats, emission, memory, biases corrected. What a search
decided about formats stays decided. Kernels are not learned anew: networks are compared as they are without that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from kerasq import ops
from kerasq.footprint import FootprintError, board_or_core, footprint
from kerasq.format import Model, ModelError
from kerasq.runtime import LibraryMissingError
from kerasq_convert.causes.cause import Size
from kerasq_convert.causes.typical import typical
from kerasq_convert.comparison.logits import scored
from kerasq_convert.comparison.outputs import Wanted, run, signal_to_noise_db
from kerasq_convert.emission.emit import Emitted
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats.choice import Choice
from kerasq_convert.graph import Graph
from kerasq_convert.memory.target import for_target
from kerasq_convert.observation.observe import Examples
from kerasq_convert.options import Goals, Options
from kerasq_convert.roles import Role
from kerasq_convert.search.resources import written
from kerasq_convert.search.start import Start, start
from kerasq_convert.settings import Settings

CORE = "cortex-m4"  # of which instructions are estimated, where options name no other
MACS = 1 << 38  # of all runs that correcting the biases of one trial may take


@dataclasses.dataclass(frozen=True)
class Tried:
    """A network with other options.

    Attributes:
        options: These.
        start: What it was made from.
        emitted: The network, its biases as they are.
        model: The same, its biases corrected where that is affordable.
        sqnr_db: Signal-to-noise ratio at its outputs.
    """

    options: Options
    start: Start
    emitted: Emitted
    model: Model
    sqnr_db: float


class Trials:
    """Converts one graph with these and those options.

    Args:
        graph: As the front end read it.
        begun: The conversion, up to the choice of formats; its network was observed by examples.
        decided: Formats that a search decided, by role.
        options: Those of the conversion.
        examples: By which networks are judged.

    Attributes:
        examples: These.
        wanted: Those of them that are held back, without the few that are unlike the others.
        unlike: How many these few are.
        core: Of which instructions are estimated.
    """

    def __init__(self, graph: Graph, begun: Start, decided: Mapping[Role, Choice], options: Options, examples: Examples):
        self._graph, self._begun, self._decided, self.examples = graph, begun, decided, examples
        self.wanted = typical(examples.held)
        self.unlike = examples.held.examples - self.wanted.examples
        self._board = board_or_core(options.goals.target or CORE)
        self.core = self._board.core
        operators = examples.reference.operators
        macs = sum(ops.macs(examples.reference, operator) for operator in operators)
        corrects = options.correct_bias and macs * len(operators) * examples.held.examples <= MACS
        quiet = options.changed(verbose=False, goals=Goals(), representative_dataset=examples.inputs)
        self.options = quiet.changed(correct_bias=corrects)

    def unchanged(self) -> Tried:
        """The network as it is, but for kernels that were learned."""
        return self._tried(self.options, self._begun)

    def __call__(self, options: Options) -> Tried | None:
        """The network with other options; `None` where it can't be."""
        is_same = options.equalize == self.options.equalize and options.representative_dataset is self.examples.inputs
        observed = self._begun.as_observed if is_same else None
        try:
            return self._tried(options, start(self._graph, Settings.load(options.settings), options, observed=observed))
        except (ConversionError, ModelError):
            return None

    def _tried(self, options: Options, begun: Start) -> Tried:
        emitted = begun.build(self._decided)
        correction = begun.correction if options.correct_bias else None
        model = emitted.model if correction is None else correction.measure(emitted.model)
        return Tried(options, begun, emitted, model, self.sqnr_db(model, self.wanted))

    @staticmethod
    def sqnr_db(model: Model, wanted: Wanted) -> float:
        """At the outputs of a network."""
        return signal_to_noise_db(run(scored(model), wanted.inputs), wanted.outputs)

    def size(self, tried: Tried) -> Size:
        """What a network takes as it would be written."""
        file = written(tried.model, tried.options)
        try:
            instructions = footprint(for_target(file.content, self.core), self._board).instructions
        except (FootprintError, LibraryMissingError):
            instructions = None
        return Size(len(file.content), file.model.arena_bytes, instructions)
