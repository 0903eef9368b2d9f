"""What the width of every single tensor does to noise and resources of a network, from which the additive model is made.

A network whose widths differ in one tensor from those of a *centre* is built, and run, for each other width of each free tensor.
The additive model says that the changes add up:

    noise(widths) = noise(centre) + sum over tensors of (noise(centre with this tensor changed) - noise(centre))

and so do bytes and instructions. Of noise that holds as far as roundings have nothing to do with each other; what is chosen by it
is measured as a whole (allocation.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from kerasq.format import Model, ModelError
from kerasq.progress import Progress
from kerasq_convert.comparison.logits import with_logits
from kerasq_convert.comparison.outputs import Arrays, noise_shares, run
from kerasq_convert.emission.emit import Emitted
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats.choice import KERNEL_BITS
from kerasq_convert.options import Options
from kerasq_convert.repair.bias_correction import BiasCorrection
from kerasq_convert.roles import Role
from kerasq_convert.search.knapsack import Choice
from kerasq_convert.search.resources import written
from kerasq_convert.search.variants import Variants, Widths

MOST_BITS = max(KERNEL_BITS)
WORTHWHILE = 0.03  # of the noise, that wide tensors must gain together: else they are narrower
RESOURCES = ("max_model_bytes", "max_arena_bytes", "max_instructions")


@dataclasses.dataclass(frozen=True)
class Point:
    """A network that was measured.

    Attributes:
        widths: Of its free tensors.
        noise: Noise : signal at the outputs.
        sizes: Its resources, by the name of their goal.
    """

    widths: Widths
    noise: float
    sizes: dict[str, int]


class Meter:
    """Measures networks of one `Variants`, each once.

    Args:
        variants: Builds them.
        inputs, outputs: Examples, and what the float network makes of them: arrays (count, ...). Points are measured with every
            second one.
        correction: Corrects biases.
        options: As for `written`.
    """

    def __init__(self, variants: Variants, inputs: Arrays, outputs: Arrays, correction: BiasCorrection | None, options: Options):
        self.variants, self.options, self.correction = variants, options, correction
        self._inputs, self._outputs = inputs, [array.astype(np.float64) for array in outputs]
        self._points: dict[tuple[int, ...], Point] = {}
        self._sizes: dict[tuple[int, ...], dict[str, int] | None] = {}

    def sizes(self, widths: Widths) -> dict[str, int] | None:
        """The resources of a network; `None` where there is none of these widths."""
        key = tuple(widths.values())
        if key not in self._sizes:
            try:
                self._sizes[key] = written(self.variants(widths).model, self.options).sizes
            except (ConversionError, ModelError):
                self._sizes[key] = None
        return self._sizes[key]

    def point(self, widths: Widths) -> Point | None:
        """A network measured with every second example; `None` where there is none of these widths."""
        key = tuple(widths.values())
        sizes = self.sizes(widths)
        if sizes is None:
            return None
        if key not in self._points:
            self._points[key] = Point(widths, self.noise(self.corrected(widths).model, 2), sizes)
        return self._points[key]

    def corrected(self, widths: Widths) -> Emitted:
        """A network with biases that take back what rounding kernels does to means."""
        emitted = self.variants(widths)
        if self.correction is None:
            return emitted
        self.correction.follow_float(emitted.model)
        return emitted.replace(self.correction.apply(emitted.model))

    def whole(self, widths: Widths) -> float:
        """Noise : signal over all examples, with biases corrected by measurement."""
        model = self.variants(widths).model
        return self.noise(model if self.correction is None else self.correction.measure(model))

    def noise(self, model: Model, step: int = 1) -> float:
        """Noise : signal over every `step`-th example."""
        inputs, outputs = ([array[::step] for array in arrays] for arrays in (self._inputs, self._outputs))
        return float(np.sum(noise_shares(run(with_logits(model), inputs), outputs)))


@dataclasses.dataclass(frozen=True)
class Table:
    """The additive model around a centre.

    Attributes:
        centre: The network in whose place others are measured.
        roles: The free tensors.
        bits: Their widths.
        noise: For each tensor, an array (widths,): the change of noise, above the least of the tensor; infinite where there is no
            network.
        least: The noise that the model gives with the least of each.
        sizes: For each tensor, an array (RESOURCES, widths): the change of resources.
    """

    centre: Point
    roles: Sequence[Role]
    bits: Sequence[Sequence[int]]
    noise: Sequence[np.ndarray]
    least: float
    sizes: Sequence[np.ndarray]

    def widths(self, choice: Choice) -> dict[Role, int]:
        """By the numbers of the options."""
        return {role: bits[option] for role, bits, option in zip(self.roles, self.bits, choice, strict=True)}

    def least_noise(self) -> dict[Role, int]:
        """The widths of which each changes the noise to the least."""
        return self.widths(tuple(int(np.argmin(noise)) for noise in self.noise))

    def choice(self, widths: Widths) -> Choice:
        """The numbers of the options."""
        return tuple(list(bits).index(widths[role]) for role, bits in zip(self.roles, self.bits, strict=True))

    def priced(self, least: float) -> list[np.ndarray]:
        """Noise, whose sum is that of the model, and a price of bits: all of them together cost a small share of `least`."""
        price = WORTHWHILE * least / len(self.roles) / MOST_BITS
        share = self.least / len(self.roles)
        return [noise + share + price * np.array(bits) for noise, bits in zip(self.noise, self.bits, strict=True)]

    def predicted(self, choice: Choice) -> np.ndarray:
        """Resources by the additive model, an array (RESOURCES,)."""
        base = np.array([self.centre.sizes.get(name, 0) for name in RESOURCES], np.float64)
        return base + sum(sizes[:, option] for sizes, option in zip(self.sizes, choice, strict=True))


def measure(meter: Meter, centre: Point, *, verbose: bool) -> Table:
    """The additive model around a network.

    Args:
        meter: Measures the networks.
        centre: The network.
        verbose: Whether to show progress.
    """
    variants, noise, sizes = meter.variants, [], []
    roles = list(centre.widths)
    base = np.array([centre.sizes.get(name, 0) for name in RESOURCES], np.float64)
    with Progress("measuring widths", len(roles), "tensors", enabled=verbose) as progress:
        for role in roles:
            changes, costs = [], []
            for bits in variants.bits(role):
                point = centre if bits == centre.widths[role] else meter.point({**centre.widths, role: bits})
                changes.append(np.inf if point is None else point.noise - centre.noise)
                there = base if point is None else np.array([point.sizes.get(name, 0) for name in RESOURCES], np.float64)
                costs.append(there - base)
            noise.append(np.array(changes))
            sizes.append(np.stack(costs, axis=1))
            progress.advance(1)
    least = centre.noise + sum(float(np.min(changes)) for changes in noise)
    above = [changes - np.min(changes) for changes in noise]
    return Table(centre, roles, [variants.bits(role) for role in roles], above, max(least, 0.0), sizes)
