"""The stage that mends a network whose formats are chosen."""

from __future__ import annotations

from kerasq_convert import roles
from kerasq_convert.graph import WeightedNode
from kerasq_convert.network import Network
from kerasq_convert.observation.observe import Observed
from kerasq_convert.options import Options
from kerasq_convert.passes.scale_channels import is_free
from kerasq_convert.repair.bias_correction import BiasCorrection


def bias_correction(network: Network, observed: Observed, options: Options) -> BiasCorrection | None:
    """Corrects the biases of operators whose kernels quantization changes; `None` without examples, or if that is not wanted.

    Args:
        network: The network, its kernels as the model has them.
        observed: With the examples by which biases are corrected.
        options: `correct_bias`, `verbose`.
    """
    examples = observed.examples
    if examples is None or not options.correct_bias:
        return None
    nodes = (node for node in network.graph.nodes if isinstance(node, WeightedNode) and is_free(node))
    free = {network.names[roles.kernel(node)] for node in nodes}
    held = examples.held.first(len(examples.measured[0]))
    return BiasCorrection(examples.reference, examples.measured, held, free, verbose=options.verbose)
