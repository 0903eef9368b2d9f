"""The stage that decides whether activations are scaled until they fill their ranges, where the options leave that open.

Tables of one function with the same formats on both sides are stored once. Scaled, each is another one: a network that would
grow by more than GROWTH is scaled but for what tables read and give, or not at all.
"""

from __future__ import annotations

import numpy as np

from kerasq.format import Model
from kerasq_convert.building import Builder
from kerasq_convert.comparison.logits import beside_logits
from kerasq_convert.comparison.outputs import is_better
from kerasq_convert.network import Network
from kerasq_convert.observation.filling import with_filled_ranges
from kerasq_convert.observation.observe import Observed
from kerasq_convert.options import Options
from kerasq_convert.search.allocation import limits_of
from kerasq_convert.search.resources import written
from kerasq_convert.settings import Settings

GROWTH = 0.01  # of all constants
SLACK = 64  # bytes more than that


def scaled_if_better(network: Network, observed: Observed, settings: Settings, options: Options) -> tuple[Network, Observed]:
    """The network with activations that fill their ranges, unless it would grow, or examples held back are better off without.

    By more than chance: from what is known of all values one at a time, factors are expected to help. Errors that all examples
    have in common don't count where biases take them back later. Where only the network without factors keeps the limits as it
    is, no tensor gets narrower for the sake of these.
    """
    filled, filled_seen = with_filled_ranges(network, observed, options, settings)
    if filled is network or options.fill_ranges or settings.factors is not None:
        return filled, filled_seen

    examples = observed.examples

    def weighed(candidate: Network, seen: Observed, most: float = np.inf) -> tuple[int, bool, np.ndarray | None] | None:
        """Bytes of its constants, whether it keeps the limits, its noise; `None` where it has more bytes than `most`.

        Models are large: of both only one is there at a time.
        """
        model = Builder.with_multipliers(candidate, settings, seen.statistics, options)({}).model
        size, noise = _constant_bytes(model), None
        if size > most:
            return None
        if examples is not None:
            noise = examples.held.noise(beside_logits(model), len(model.outputs), centred=options.correct_bias)
        return size, _keeps_limits(model, options), noise

    plain = weighed(network, observed)
    assert plain is not None
    size, keeps, noise = plain
    most = (1 + GROWTH) * size + SLACK
    scaled = weighed(filled, filled_seen, most)
    if scaled is None:
        filled, filled_seen = with_filled_ranges(network, observed, options, settings, tables=False)
        scaled = weighed(filled, filled_seen, most)
    if scaled is None:
        return network, observed
    _, filled_keeps, filled_noise = scaled
    if keeps and not filled_keeps:
        return network, observed
    if noise is not None and filled_noise is not None and is_better(noise, filled_noise):
        return network, observed
    return filled, filled_seen


def _keeps_limits(model: Model, options: Options) -> bool:
    """Whether a network needs no narrower tensors to keep its limits."""
    limits = limits_of(options.goals)
    if not limits:
        return True
    sizes = written(model, options).sizes
    return all(sizes[name] <= limit for name, limit in limits.items())


def _constant_bytes(model: Model) -> int:
    """What constants take in a file, which has equal ones once."""
    stored = {tensor.data.tobytes(): tensor.nbytes for tensor in model.constants() if tensor.data is not None}
    return sum(stored.values())
