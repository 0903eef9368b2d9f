"""The stage that decides whether activations are scaled until they fill their ranges, where the options leave that open."""

from __future__ import annotations

from kerasq_convert.building import Builder
from kerasq_convert.comparison.logits import beside_logits
from kerasq_convert.comparison.outputs import is_better
from kerasq_convert.network import Network
from kerasq_convert.observation.filling import with_filled_ranges
from kerasq_convert.observation.observe import Observed
from kerasq_convert.options import Options
from kerasq_convert.passes.multipliers import with_multipliers
from kerasq_convert.passes.widths import kernel_bits
from kerasq_convert.settings import Settings


def scaled_if_better(network: Network, observed: Observed, settings: Settings, options: Options) -> tuple[Network, Observed]:
    """The network with activations that fill their ranges, unless the examples held back are better off without.

    By more than chance: from what is known of all values one at a time, factors are expected to help. Errors that all examples
    have in common don't count where biases take them back later.
    """
    filled, known = with_filled_ranges(network, observed, options, settings)
    examples = observed.examples
    if filled is network or examples is None or options.fill_ranges or settings.factors is not None:
        return filled, known
    noises = []
    for candidate, seen in ((network, observed), (filled, known)):
        bits = kernel_bits(candidate, settings, options.kernel_bits, options.end_weight_bits)
        multiplied = with_multipliers(candidate, settings, options.per_channel, observed=True, bits=bits)
        model = Builder.of(multiplied, settings, seen.statistics, options, bits)({}).model
        noises.append(examples.held.noise(beside_logits(model), len(model.outputs), centred=options.correct_bias))
    return (network, observed) if is_better(*noises) else (filled, known)
