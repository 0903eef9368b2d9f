"""Tensors that would hold nothing but zeros, where the float network's hold values that its outputs depend on.

The finest format has steps of 2**-63; what is smaller throughout becomes zero. Often that is right: beside a bias of 0.1 a sum of
1e-18 is nothing. Whether it is, the float network tells, with zeros in that tensor's place.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from kerasq import ops
from kerasq.format.model import ABSENT, Model, Operator
from kerasq.qformat import MAX_FRAC_BITS, QFormat
from kerasq.statistics import Statistics
from kerasq_convert import roles
from kerasq_convert.building import in_float
from kerasq_convert.comparison.logits import scored
from kerasq_convert.comparison.outputs import Arrays, noise_shares
from kerasq_convert.emission.emit import Emitted
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats.choice import Reason
from kerasq_convert.formats.weights import folded_kernel, largest_of
from kerasq_convert.graph import WeightedNode
from kerasq_convert.network import Network
from kerasq_convert.observation.observe import Observed
from kerasq_convert.operators import activations_read

MATTERS = 1e-3  # noise : signal at the outputs, from which on a tensor of zeros is a mistake
EXAMPLES = 16  # random ones, where there are none of the user's


@dataclasses.dataclass(frozen=True)
class _Silent:
    """A tensor of zeros: its name and format, the largest float value, and what is to be zeroed in the float network, by name."""

    name: str
    format: QFormat
    largest: float
    zeroed: str


def require_signal(emitted: Emitted, network: Network, observed: Observed) -> None:
    """Refuses a quantized network with a tensor of zeros that matters.

    Args:
        emitted: The quantized network.
        network: The network as it was before anything was quantized.
        observed: What is known of its values.

    Raises:
        ConversionError: All such tensors, each with a remedy.
    """
    silent = [*_parameters(emitted, network), *_activations(emitted, observed.statistics)]
    if problems := _problems(silent, network, observed) if silent else []:
        raise ConversionError("the network does not fit its formats", problems)


def _problems(silent: list[_Silent], network: Network, observed: Observed) -> list[str]:
    """A sentence with a remedy for each tensor of zeros that matters."""
    examples = observed.examples
    reference = scored(examples.reference if examples is not None else in_float(network))
    inputs = examples.held.inputs if examples is not None else _random(reference, observed.statistics)
    wanted = _outputs(reference, inputs, "")
    lost = [tensor for tensor in silent if np.sum(noise_shares(_outputs(reference, inputs, tensor.zeroed), wanted)) > MATTERS]
    return [
        f"{tensor.name}: its values reach {tensor.largest:.3g}, and {tensor.format} would hold nothing but zeros, though the "
        f"outputs depend on it; {_remedy(tensor.format)}"
        for tensor in lost
    ]


def _remedy(format_: QFormat) -> str:
    if (format_.frac_bits or 0) < MAX_FRAC_BITS:
        return "give it more fractional bits, or FLOAT32, in the settings"
    return "scale the weights before it up and those after it down, or give it FLOAT32 in the settings"


def _parameters(emitted: Emitted, network: Network) -> list[_Silent]:
    """Kernels, with their multipliers, whose products are all zero."""
    stored = emitted.constants()
    silent = []
    for node in network.graph.nodes:
        if not isinstance(node, WeightedNode):
            continue
        for role in (roles.kernel(node), roles.multiplier(node)):
            if role in stored and not np.any(stored[role].data):
                largest = largest_of(folded_kernel(node))
                if largest == 0:
                    continue
                silent.append(_Silent(stored[role].name, stored[role].format, largest, network.names[roles.kernel(node)]))
    return silent


def _activations(emitted: Emitted, statistics: Statistics | None) -> list[_Silent]:
    """Activations whose whole observed range is rounded to zero; what takes over its input's format is named by that."""
    silent = []
    for role, tensor in zip(emitted.roles, emitted.model.tensors, strict=True):
        if statistics is None or tensor.name not in statistics or not tensor.format.is_fixed:
            continue
        histogram = statistics[tensor.name]
        largest = max(-histogram.min, histogram.max)
        is_own = role.is_buffer and emitted.formats[role].reason is not Reason.INPUT
        if is_own and largest > 0 and not np.any(tensor.format.quantize(np.array([histogram.min, histogram.max]))):
            silent.append(_Silent(tensor.name, tensor.format, largest, tensor.name))
    return silent


def _random(reference: Model, statistics: Statistics | None) -> Arrays:
    """Examples over the range that was observed of each input, else over -1 .. 1."""
    rng = np.random.default_rng(1)
    arrays = []
    for index in reference.inputs:
        tensor = reference.tensors[index]
        histogram = None if statistics is None else statistics.get(tensor.name)
        low, high = (-1.0, 1.0) if histogram is None else (histogram.min, histogram.max)
        arrays.append(rng.uniform(low, high, (EXAMPLES, *tensor.shape[1:])).astype(np.float32))
    return arrays


def _outputs(model: Model, inputs: Arrays, zeroed: str) -> Arrays:
    """What the float network gives with zeros in place of the kernel or activation of that name."""
    values: dict[int, np.ndarray] = {}

    def keep(index: int, array: np.ndarray) -> None:
        values[index] = np.zeros_like(array) if model.tensors[index].name == zeroed else array

    for index, array in zip(model.inputs, inputs, strict=True):
        keep(index, array)
    for operator in model.operators:
        with np.errstate(all="ignore"):
            run = ops.prepare(_without(model, operator, zeroed), operator)
            keep(operator.outputs[0], run(*(values[index] for index in activations_read(model, operator))))
    return [values[index].astype(np.float64) for index in model.outputs]


def _without(model: Model, operator: Operator, zeroed: str) -> Model:
    """`model` with zeros in a constant that an operator reads, if it has that name."""
    tensors = list(model.tensors)
    for index in operator.inputs:
        if index != ABSENT and tensors[index].name == zeroed and tensors[index].data is not None:
            tensors[index] = dataclasses.replace(tensors[index], data=np.zeros_like(tensors[index].data))
    return dataclasses.replace(model, tensors=tuple(tensors))
