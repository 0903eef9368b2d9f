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
from kerasq_convert.building import in_float
from kerasq_convert.comparison.outputs import Arrays, noise_shares
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats.choice import Formats, Reason, folded_kernel
from kerasq_convert.graph import Graph, WeightedNode
from kerasq_convert.naming import Names
from kerasq_convert.network import Network
from kerasq_convert.observation.observe import Observed

MATTERS = 1e-3  # noise : signal at the outputs, from which on a tensor of zeros is a mistake
EXAMPLES = 16  # random ones, where there are none of the user's


@dataclasses.dataclass(frozen=True)
class _Silent:
    """A tensor of zeros: its name and format, the largest float value, and what is to be zeroed in the float network, by name."""

    name: str
    format: QFormat
    largest: float
    zeroed: str


def require_signal(model: Model, formats: Formats, network: Network, observed: Observed) -> None:
    """Refuses a quantized network with a tensor of zeros that matters.

    Args:
        model: The quantized network.
        formats: Its formats, and why they are so.
        network: The network as it was before anything was quantized.
        observed: What is known of its values.

    Raises:
        ConversionError: All such tensors, each with a remedy.
    """
    silent = [*_parameters(model, network.graph, network.names), *_activations(model, formats, observed.statistics)]
    if problems := _problems(silent, network, observed) if silent else []:
        raise ConversionError("the network does not fit its formats", problems)


def _problems(silent: list[_Silent], network: Network, observed: Observed) -> list[str]:
    """A sentence with a remedy for each tensor of zeros that matters."""
    examples = observed.examples
    reference = examples.reference if examples is not None else in_float(network)
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


def _parameters(model: Model, graph: Graph, names: Names) -> list[_Silent]:
    """Kernels, with their multipliers, whose products are all zero."""
    stored = {tensor.name: tensor for tensor in model.constants()}
    found = []
    for node in graph.nodes:
        if not isinstance(node, WeightedNode):
            continue
        for name in (names.kernel(node), names.multiplier(node)):
            if name in stored and not np.any(stored[name].data):
                largest = float(np.max(np.abs(folded_kernel(node))))
                if largest == 0:
                    continue
                found.append(_Silent(name, stored[name].format, largest, names.kernel(node)))
    return found


def _activations(model: Model, formats: Formats, statistics: Statistics | None) -> list[_Silent]:
    """Activations whose whole observed range is rounded to zero; what takes over its input's format is named by that."""
    found = []
    for tensor in model.activations():
        if statistics is None or tensor.name not in statistics or not tensor.format.is_fixed:
            continue
        histogram = statistics[tensor.name]
        largest = max(-histogram.min, histogram.max)
        is_own = tensor.name in formats.buffers and formats.buffers[tensor.name].reason is not Reason.INPUT
        if is_own and largest > 0 and not np.any(tensor.format.quantize(np.array([histogram.min, histogram.max]))):
            found.append(_Silent(tensor.name, tensor.format, largest, tensor.name))
    return found


def _random(reference: Model, statistics: Statistics | None) -> Arrays:
    """Examples over the range that was observed of each input, else over -1 .. 1."""
    rng = np.random.default_rng(1)
    arrays = []
    for index in reference.inputs:
        tensor = reference.tensors[index]
        known = statistics is not None and tensor.name in statistics
        low, high = (
            (statistics[tensor.name].min, statistics[tensor.name].max) if statistics is not None and known else (-1.0, 1.0)
        )
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
            keep(operator.outputs[0], run(*(values[index] for index in _read(model, operator))))
    return [values[index].astype(np.float64) for index in model.outputs]


def _without(model: Model, operator: Operator, zeroed: str) -> Model:
    """`model` with zeros in a constant that an operator reads, if it has that name."""
    tensors = list(model.tensors)
    for index in operator.inputs:
        if index != ABSENT and tensors[index].name == zeroed and tensors[index].data is not None:
            tensors[index] = dataclasses.replace(tensors[index], data=np.zeros_like(tensors[index].data))
    return dataclasses.replace(model, tensors=tuple(tensors))


def _read(model: Model, operator: Operator) -> list[int]:
    return [index for index in operator.inputs if index != ABSENT and not model.tensors[index].is_constant]
