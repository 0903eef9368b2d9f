"""The stage that learns how kernels are rounded, and at which position their integers are, from examples without labels.

Operator by operator, in the order of execution, the kernel becomes integers whose sums are nearest to the float network's, for
what the operators before, tuned already, really give (walk.py). Biases take back what is left in the means, and are then
corrected as all others are (repair/bias_correction.py). It needs the format of every tensor, so it comes after their choice; a
kernel for which another position of its integers would be better gets that, and everything is learned anew, a few times at most.

The tuned network replaces the other only if the examples that had no part in it agree: where their outputs would be further from
the float network's, or their logits, it stays as it was. Nothing is random: the same examples give the same network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from kerasq.format import Model
from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS, QFormat
from kerasq_convert import roles
from kerasq_convert.building import Build
from kerasq_convert.comparison.logits import beside_logits, scored_outputs
from kerasq_convert.comparison.outputs import Wanted
from kerasq_convert.emission.emit import Emitted
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats.choice import Choice, Reason
from kerasq_convert.graph import WeightedNode
from kerasq_convert.network import Network
from kerasq_convert.observation.observe import Observed
from kerasq_convert.options import Options
from kerasq_convert.passes.scale_channels import PAIR, is_free, largest_pairs, pair_run
from kerasq_convert.repair.bias_correction import BiasCorrection
from kerasq_convert.roles import Role
from kerasq_convert.tuning.layer import Freedom
from kerasq_convert.tuning.walk import TunedLayer, Walk, Walked
from kerasq_convert.tuning.weighted import stored

BYTES = 1 << 28  # that activations of all examples may take together: with large ones fewer examples are learned from
MOST_COLUMNS = 8192  # weights of a row: their moments are the square of it
KEPT = "the tuned network was no nearer to the float network on the held examples, so it stays untuned"
ROUNDS = 3  # of better positions
NOTHING = "there is nothing to tune: no operator computes in integers from a kernel that quantization changes"
_FREE = (Reason.ERROR, Reason.UNSATURATED, Reason.REFINED, Reason.TUNED)  # of a position that nobody else decided


@dataclasses.dataclass(frozen=True)
class Tuned:
    """What came of tuning.

    Attributes:
        emitted: The network that is to be written, its biases corrected.
        layers: What became of each operator; nothing where the network stayed as it was.
        notes: Why it did.
    """

    emitted: Emitted
    layers: list[TunedLayer] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


def tune(
    build: Build,
    decided: Mapping[Role, Choice],
    untuned: Emitted,
    networks: tuple[Network, Network],
    observed: Observed,
    correction: BiasCorrection | None,
    options: Options,
) -> Tuned:
    """Learns kernels, if the options want that.

    Args:
        build: Makes the network with certain formats decided.
        decided: The formats that `untuned` has.
        untuned: The network as it is without, its biases corrected.
        networks: Its graph with the kernels as the model has them, and as it was built.
        observed: With examples.
        correction: Corrects the biases of what is written; `None`: biases stay as they are.
        options: `tune`, `verbose`.
    """
    examples = observed.examples
    if not options.tune or examples is None:
        return Tuned(untuned)
    kernels = _freedoms(networks, untuned)
    if not kernels:
        return Tuned(untuned, notes=[NOTHING])
    count = max(1, min(len(examples.tuned[0]), BYTES // max(examples.reference.arena_bytes, 1)))
    inputs = [array[:count] for array in examples.tuned]
    walk = Walk(examples.reference, inputs, kernels, with_bias=correction is not None, verbose=options.verbose)
    emitted, walked = _learned(build, decided, walk, Wanted.of(examples.trained, examples.measured))
    model = walked.model if correction is None else correction.measure(walked.model)
    if np.any(_noise(examples.held, model) > _noise(examples.held, untuned.model)):
        return Tuned(untuned, notes=[KEPT])
    return Tuned(emitted.replace(model), walked.layers)


def _noise(wanted: Wanted, model: Model) -> np.ndarray:
    """Noise : signal, at the outputs and at the logits."""
    return wanted.noise(beside_logits(model), len(scored_outputs(model))).sum(axis=1)


def _learned(build: Build, decided: Mapping[Role, Choice], walk: Walk, wanted: Wanted) -> tuple[Emitted, Walked]:
    """The network, learned where its integers are, or at better positions as long as they bring its outputs nearer."""
    emitted = build(decided)
    best = last = emitted, walk.run(emitted.model)
    least = np.inf
    for _ in range(ROUNDS):
        changes = _positions(*last)
        if not changes:
            break
        least = min(least, _noise(wanted, last[1].model).sum())
        decided = {**decided, **changes}
        try:
            emitted = build(decided)
        except ConversionError:  # no sum of an operator fits its accumulator
            break
        last = emitted, walk.run(emitted.model)
        if _noise(wanted, last[1].model).sum() >= least:
            break
        best = last
    return best


def _positions(emitted: Emitted, walked: Walked) -> dict[Role, Choice]:
    """Formats of the kernels for which another position is better."""
    return {
        role: Choice(_moved_by(emitted.formats[role].format, walked.positions[tensor.name]), Reason.TUNED)
        for role, tensor in emitted.constants().items()
        if tensor.name in walked.positions
    }


def _moved_by(format_: QFormat, bits: int) -> QFormat:
    return format_.with_frac_bits(min(max((format_.frac_bits or 0) + bits, MIN_FRAC_BITS), MAX_FRAC_BITS))


def _freedoms(networks: tuple[Network, Network], emitted: Emitted) -> dict[str, Freedom]:
    """What may be learned, by name of the kernel: of those that quantization to at most 8 bits changes."""
    exact, built = networks
    free = {node.output for node in exact.graph.nodes if isinstance(node, WeightedNode) and is_free(node)}
    constants, freedoms = emitted.constants(), {}
    for node in built.graph.nodes:
        if not isinstance(node, WeightedNode) or node.output not in free:
            continue
        role = roles.kernel(node)
        tensor, choice = constants[role], emitted.formats[role]
        if choice.format.is_fixed and choice.format.bits <= 8 and node.kernel[0].size <= MOST_COLUMNS:
            freedoms[tensor.name] = Freedom(
                _partners(node, stored(tensor)), PAIR, scale=node.rounded is not None, position=choice.reason in _FREE
            )
    return freedoms


def _partners(node: WeightedNode, integers: np.ndarray) -> np.ndarray | None:
    """The column that each column of a narrow kernel is paired with; `None` of others."""
    run = pair_run(node)
    rows = integers.reshape(len(integers), -1)
    if run is None or node.rounded is None or np.any(largest_pairs(rows.astype(np.int64), run) > PAIR):
        return None
    columns = np.arange(rows.shape[1])
    place = columns % run
    partner = columns + np.where(place % 2 == 0, 1, -1)
    return np.where((place % 2 == 0) & (place == run - 1), columns, partner)
