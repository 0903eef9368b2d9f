"""Kernel, multiplier and bias of a weighted node as constants: which values are stored, and in which format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kerasq.format import Tensor
from kerasq.qformat import FLOAT32, MAX_FRAC_BITS, QFormat
from kerasq_convert import roles
from kerasq_convert.emission.tensors import Tensors
from kerasq_convert.formats import proof, ranges
from kerasq_convert.formats.choice import FIXED16, FIXED32, Formats
from kerasq_convert.formats.kernels import holds
from kerasq_convert.formats.proof import frac_bits
from kerasq_convert.formats.weights import StoredKernel, stored_bias, stored_kernel
from kerasq_convert.graph import KernelNode, WeightedNode, replace
from kerasq_convert.naming import Names
from kerasq_convert.roles import Part, Role
from kerasq_convert.settings import Settings


class Parameters:
    """Adds the constants of weighted nodes to the tensors of a model.

    Args:
        tensors: Where they are added.
        names: Of the graph's tensors.
        formats: Of its kernels.
        settings: Of its multipliers and biases.
    """

    def __init__(self, tensors: Tensors, names: Names, formats: Formats, settings: Settings):
        self._tensors, self._names, self._formats, self._settings = tensors, names, formats, settings

    def add(self, node: WeightedNode, activations: Sequence[QFormat], output: QFormat) -> dict[str, int]:
        """The constants that a node needs, by the names of its operator's operands.

        Args:
            node: The node.
            activations: Formats of its input, and of its addend where it has one.
            output: The format of its output.
        """
        index, kernel = self.kernel(node)
        operands = {"kernel": index}
        fractions = [activations[0], kernel.format]
        multiplier, plain = kernel.multiplier, node
        node = replace(plain, bias=stored_bias(plain, kernel))
        if multiplier is None and node.bias is not None:
            multiplier = _finer_grid(node.bias, fractions, output)
        if multiplier is not None:
            chosen = self._multiplier_format(node, multiplier, kernel.tensor, activations, output)
            role = roles.multiplier(node, made=kernel.multiplier is None)
            operands["multiplier"] = self._tensors.constant(role, chosen, multiplier)
            fractions.append(chosen)
            node = replace(plain, bias=stored_bias(plain, kernel, self._tensors[operands["multiplier"]].values))
        if node.bias is not None:
            chosen = self._format(roles.bias(node), node.bias, FIXED32, fractions)
            if chosen.family == FIXED32.family and self._wanted(roles.bias(node)) is None:
                chosen = _shorter_bias(node, chosen, kernel.tensor, fractions, multiplier, output)
            self._check_bias(roles.bias(node), chosen, fractions)
            operands["bias"] = self._tensors.constant(roles.bias(node), chosen, node.bias)
        return operands

    def kernel(self, node: KernelNode) -> tuple[int, StoredKernel]:
        """The kernel of a node in its format, and the index of the constant that it is."""
        kernel = stored_kernel(node, self._formats[roles.kernel(node)].format)
        return self._tensors.kernel(roles.kernel(node), kernel), kernel

    def _format(self, role: Role, values: np.ndarray, family: QFormat, others: list[QFormat]) -> QFormat:
        """A multiplier's or a bias's: as the settings say, else FLOAT32 beside floats and as exact as `family` allows otherwise.

        A bias is added at the fractional bits of the sum, and may be coarser but not finer than that.
        """
        wanted = self._wanted(role)
        in_float = any(other.is_float for other in others)
        if wanted is None and in_float:
            return FLOAT32
        family = wanted or family
        if not family.is_fixed or family.frac_bits is not None:
            return family
        finest = frac_bits(*others) if role.part is Part.BIAS and not in_float else MAX_FRAC_BITS
        return ranges.exact_as_possible(family, values, min(finest, MAX_FRAC_BITS))

    def _wanted(self, role: Role) -> QFormat | None:
        return self._settings.parameter(self._names[role])

    def _multiplier_format(
        self, node: WeightedNode, values: np.ndarray, kernel: Tensor, activations: Sequence[QFormat], output: QFormat
    ) -> QFormat:
        """The multiplier's format; with no more fractional bits than are proven, unless they are set."""
        role, (source, *addends) = roles.multiplier(node), activations
        chosen = self._format(role, values, FIXED16, [source, kernel.format])
        wanted = self._wanted(role)
        if not chosen.is_fixed or not source.is_fixed or (wanted is not None and wanted.frac_bits is not None):
            return chosen

        def operands(candidate: QFormat) -> Mapping[str, Tensor]:
            fractions = [source, kernel.format, candidate]
            read = proof.activations(node, source, addends, frac_bits(*fractions))
            read |= {"kernel": kernel, "multiplier": proof.constant(Part.MULTIPLIER, values, candidate)}
            if node.bias is not None:
                bias = proof.at_most(self._format(roles.bias(node), node.bias, FIXED32, fractions), frac_bits(*fractions))
                read["bias"] = proof.constant(Part.BIAS, node.bias, bias)
            return read

        return proof.finest_proven(chosen, node, operands, output)

    def _check_bias(self, role: Role, chosen: QFormat, others: list[QFormat]) -> None:
        finest = MAX_FRAC_BITS if any(other.is_float for other in others) else frac_bits(*others)
        if frac_bits(chosen) > finest:
            self._tensors.problems.append(
                f"{self._names[role]}: it can't be {chosen}: the sum to which it is added has {finest} fractional bits, and a "
                "bias at most as many; give it fewer, or its input, kernel or multiplier more"
            )


def _finer_grid(bias: np.ndarray, others: list[QFormat], output: QFormat) -> np.ndarray | None:
    """A multiplier of ones where, without it, the sum is too coarse for its bias, as below signs without alpha.

    The bias is stored on the grid of the sum (NUMERICS.md section 3). Rounding it there may cost a 32nd of the output's
    step (of the input's, where the output is FLOAT32); where the grid is coarser, the fractional bits of a multiplier
    refine it.
    """
    if any(other.is_float for other in others):
        return None
    grid = frac_bits(*others)
    step = output if output.is_fixed else others[0]
    enough = grid >= frac_bits(step) + 4
    representable = np.all(np.ldexp(bias, grid) == np.floor(np.ldexp(bias, grid)))
    return None if enough or representable else np.ones(len(bias))


def _shorter_bias(
    node: WeightedNode, full: QFormat, kernel: Tensor, factors: list[QFormat], multiplier: np.ndarray | None, output: QFormat
) -> QFormat:
    """16 bits for a bias where they hold as much, or where what they round away is little beside what is rounded anyway.

    The rounding of a multiplier moves the sum by up to half of its step times the largest sum, that of the bias by half a step.
    Where that is no more, and no more than a 32nd of the output's step, 16 bits are enough. What is exact stays exact: beside a
    multiplier that its format holds, as beside none, a bias keeps every bit that the sum has, but one that offsets are a part of.

    Args:
        node: The operator's, with the values of the bias.
        full: The format that 32 bits have for them.
        kernel: As it is stored.
        factors: Formats of input, kernel and, where there is one, multiplier.
        multiplier: The values of that.
        output: The format of the output.
    """
    assert node.bias is not None
    # One bit is for what corrections add to it (repair/bias_correction.py).
    short = ranges.exact_as_possible(FIXED16, 2 * node.bias, frac_bits(full))
    if frac_bits(short) == frac_bits(full):
        return short
    if any(factor.is_float for factor in factors):
        return full
    step = output if output.is_fixed else factors[0]
    enough = frac_bits(short) + 1 >= frac_bits(step) + 5
    if node.zero or node.offset:  # it was rounded as it was made
        return short if enough else full
    if multiplier is None or holds(factors[2], multiplier):
        return full
    largest_sum = int(kernel.magnitudes.max()) * factors[0].largest_magnitude
    costs = frac_bits(short) >= frac_bits(*factors) - (largest_sum.bit_length() - 1)
    return short if costs and enough else full
