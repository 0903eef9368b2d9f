"""Formats chosen by what they do to the network's outputs, without labels.

The search measures a network by the signal-to-noise ratio at its outputs, over calibration examples: the float network's outputs
are the signal, the difference from them is the noise. A format that fits its own tensor well may still cost the outputs most, so
each candidate is measured in the whole network. Where an output is a softmax, its logits are compared: probabilities near 0 and 1
hide changes in the order of the classes.

* `refine` tries one fractional bit less and one more for every tensor, in the order of execution. It keeps a format that is
  better both on the even and on the odd examples: a gain on one half alone is chance.
* `promote` gives buffers 16 bits, one at a time, the one with the greatest gain per byte first, until the goals are met. Where
  that is not enough, widths of all tensors are chosen together (allocation.py).
* Biases are corrected in every network that is measured (repair/bias_correction.py). The corrections are measured at the start
  and after refinement. Candidates in between get corrections computed from what operators read then, since one bit in one format
  hardly changes that. A refinement that is no gain with its own corrections is taken back.
* A tie changes nothing, and nothing is random: the same examples give the same formats.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from kerasq.format import Model, ModelError, dumps
from kerasq.progress import Progress
from kerasq.qformat import MAX_FRAC_BITS, MIN_FRAC_BITS, QFormat, fixed
from kerasq.statistics import Statistics
from kerasq_convert.building import Build
from kerasq_convert.comparison.logits import with_logits
from kerasq_convert.comparison.outputs import Arrays, run, signal_to_noise_db, top_1
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats import ranges
from kerasq_convert.formats.choice import Choice, Formats, Reason
from kerasq_convert.options import Goals
from kerasq_convert.repair.bias_correction import BiasCorrection
from kerasq_convert.roles import Role

GAIN_DB = 0.01  # a change that gains less is no gain


@dataclasses.dataclass(frozen=True)
class TradeOff:
    """One point of the curve: what was promoted last, and what the network is then; instructions where they are limited."""

    promoted: str | None
    sqnr_db: float
    accuracy: float | None
    model_bytes: int
    arena_bytes: int
    instructions: int | None = None


class Search:
    """Measures candidate formats of one network.

    Args:
        build: The model, planned, and the formats that it gets with certain formats decided.
        inputs: Calibration examples, an array per input.
        reference: The float network's outputs for them, an array per output.
        labels: Class of each example, or None.
        correction: Corrects the biases of what is built; None: nothing does.
        verbose: Whether to show progress.
    """

    def __init__(
        self,
        build: Build,
        inputs: Arrays,
        reference: Arrays,
        labels: np.ndarray | None = None,
        correction: BiasCorrection | None = None,
        verbose: bool = False,
    ):
        self._build, self._inputs, self._labels, self._verbose = build, inputs, labels, verbose
        self._correction = correction
        self._reference = [array.astype(np.float64) for array in reference]
        count = len(self._reference[0])
        self._halves = [slice(0, None, 2), slice(1, None, 2)] if count > 1 else [slice(None)]
        self.decided: dict[Role, Choice] = {}
        self.curve: list[TradeOff] = []
        self._repaired({})

    def _repaired(self, decided: dict[Role, Choice]) -> Model:
        """The model with its biases corrected by measurement; `_network` corrects later ones by what was measured here."""
        model = self._build(decided).model
        return model if self._correction is None else self._correction.measure(model)

    def _network(self, decided: dict[Role, Choice]) -> Model:
        model = self._build(decided).model
        return model if self._correction is None else self._correction.apply(model)

    def sqnr_db(self, outputs: Arrays, examples: slice = slice(None)) -> float:
        """Of some examples: see `outputs.signal_to_noise_db`."""
        return signal_to_noise_db([array[examples] for array in outputs], [array[examples] for array in self._reference])

    def accuracy(self, outputs: Arrays) -> float | None:
        """Top-1 of the first output."""
        if self._labels is None:
            return None
        return top_1(outputs[0], self._labels)

    def _measured(self, decided: dict[Role, Choice]) -> list[float]:
        """Signal-to-noise ratio over all examples, then over each half; minus infinity where such a network can't be."""
        try:
            outputs = run(with_logits(self._network(decided)), self._inputs)
        except (ConversionError, ModelError):
            return [float("-inf")] * (1 + len(self._halves))
        return [self.sqnr_db(outputs), *(self.sqnr_db(outputs, half) for half in self._halves)]

    def refine(self, sweeps: int = 1) -> None:
        """One fractional bit less or more wherever that lowers the error at the outputs, for either half of the examples."""
        start, best = self.decided, self._measured(self.decided)
        unrefined, formats = best[0], self._build(self.decided).formats
        free = list(free_tensors(formats))
        with Progress("refining formats", sweeps * len(free), "tensors", enabled=self._verbose) as progress:
            for _ in range(sweeps):
                before = best[0]
                for role in free:
                    for neighbour in _neighbours(formats[role].format):
                        tried = self.decided | {role: Choice(neighbour, Reason.REFINED)}
                        measured = self._measured(tried)
                        if all(new > old + GAIN_DB for new, old in zip(measured, best, strict=True)):
                            best, self.decided = measured, tried
                    progress.advance(1)
                if best[0] <= before + GAIN_DB:
                    break
                formats = self._build(self.decided).formats
        refined = run(with_logits(self._repaired(self.decided)), self._inputs)
        if self.decided != start and self.sqnr_db(refined) <= unrefined:
            self.decided = start
            self._repaired(start)

    def promote(self, goals: Goals, statistics: Statistics, criterion: ranges.Criterion) -> None:
        """Buffers get 16 bits until the goals are met, or nothing helps."""
        self.curve = [self._point(None, self._network(self.decided))]
        reachable = goals.min_sqnr_db is not None or goals.max_accuracy_drop is not None
        while reachable and not self.meets(goals) and _within(goals, self.curve[-1]):
            step = self._best_step(goals, statistics, criterion)
            if step is None:
                break
            point, self.decided = step
            self.curve.append(point)

    def measure(self, sizes: Callable[[Model], Mapping[str, int]]) -> None:
        """Ends the curve with the network as it would be written, its biases corrected by measurement; `sizes` tells its own."""
        model = self._repaired(self.decided)
        self.curve[-1] = self._point(self.curve[-1].promoted, model, sizes(model))

    def finish(self, model: Model, sizes: Mapping[str, int], goals: Goals, least: Mapping[str, int]) -> list[str]:
        """Ends the curve with the network as it is written; the goals that it misses, a sentence with a remedy for each.

        Args:
            model: The network.
            sizes: What it takes, by the names of the goals.
            goals: The goals.
            least: Of limits that no widths of tensors keep, what can be reached.
        """
        self.curve[-1] = self._point(self.curve[-1].promoted, model, sizes)
        return list(self._unmet(goals, least))

    def _best_step(
        self, goals: Goals, statistics: Statistics, criterion: ranges.Criterion
    ) -> tuple[TradeOff, dict[Role, Choice]] | None:
        """The promotion with the greatest gain per byte, of those that keep the limits."""
        last, steps = self.curve[-1], []
        built = self._build(self.decided)
        formats = built.formats
        narrow = [role for role in free_tensors(formats) if role.is_buffer and formats[role].format.bits == 8]
        with Progress("promoting to 16 bits", len(narrow), "buffers", enabled=self._verbose) as progress:
            for role in narrow:
                name = built.name(role)
                family = fixed(16, signed=formats[role].format.signed)
                wide = ranges.best_for_histogram(family, statistics[name], criterion)
                tried = self.decided | {role: Choice(wide, Reason.PROMOTED)}
                progress.advance(1)
                try:
                    point = self._point(name, self._network(tried))
                except (ConversionError, ModelError):
                    continue
                if point.sqnr_db > last.sqnr_db + GAIN_DB and _within(goals, point):
                    cost = point.model_bytes - last.model_bytes + point.arena_bytes - last.arena_bytes
                    steps.append(((point.sqnr_db - last.sqnr_db) / max(cost, 1), point, tried))
        if not steps:
            return None
        _, point, decided = max(steps, key=lambda step: step[0])
        return point, decided

    def _point(self, name: str | None, model: Model, sizes: Mapping[str, int] | None = None) -> TradeOff:
        """A planned model as a point of the curve."""
        outputs = run(with_logits(model), self._inputs)
        sizes = sizes_of(model) if sizes is None else sizes
        taken = (sizes["max_model_bytes"], sizes["max_arena_bytes"], sizes.get("max_instructions"))
        return TradeOff(name, self.sqnr_db(outputs), self.accuracy(outputs), *taken)

    def meets(self, goals: Goals) -> bool:
        """Whether the end of the curve does."""
        return not any(True for _ in self._unmet(goals, {}))

    def shortfall(self, goals: Goals) -> float:
        """By how much the end of the curve misses goals, in sum: powers of ten of noise, shares of examples, and of limits."""
        point, drop = self.curve[-1], self._drop()
        missing = [0.0 if goals.min_sqnr_db is None else (goals.min_sqnr_db - point.sqnr_db) / 10]
        missing += [] if drop is None or goals.max_accuracy_drop is None else [drop - goals.max_accuracy_drop]
        limits = [(getattr(goals, goal), size) for _, _, goal, size in _sizes(point)]
        missing += [size / limit - 1 for limit, size in limits if limit is not None and size is not None]
        return sum(max(share, 0.0) for share in missing)

    def _drop(self) -> float | None:
        """The accuracy that the end of the curve has lost."""
        point, reference = self.curve[-1], self.accuracy(self._reference)
        return None if point.accuracy is None or reference is None else reference - point.accuracy

    def _unmet(self, goals: Goals, least: Mapping[str, int]) -> Iterator[str]:
        point, drop = self.curve[-1], self._drop()
        if goals.min_sqnr_db is not None and point.sqnr_db < goals.min_sqnr_db:
            reached = f"{point.sqnr_db:.1f} dB at the outputs is the most that was reached, the goal is {goals.min_sqnr_db:g} dB"
            yield f"{reached}; {_remedy(goals)}"
        if goals.max_accuracy_drop is not None and drop is not None and drop > goals.max_accuracy_drop:
            reached = f"accuracy is {drop:.4f} below the float network's, the goal is at most {goals.max_accuracy_drop:g}"
            yield f"{reached}; {_remedy(goals)}"
        others = ", with the other limits kept" if len(least) > 1 else ""
        for what, unit, goal, size in _sizes(point):
            limit = getattr(goals, goal)
            if limit is not None and least.get(goal, 0) > limit:
                reachable = f"at least {least[goal]:,} {unit}, whatever the widths of its tensors{others}"
                yield f"the {what} has {reachable}; the limit is {limit:,}; only a smaller network has fewer"
            elif limit is not None and size is not None and size > limit:
                yield f"the {what} has {size:,} {unit}, the limit is {limit:,}; only a smaller network has fewer"


def sizes_of(model: Model) -> dict[str, int]:
    """What a model takes as it is, by the names of the goals."""
    return {"max_model_bytes": len(dumps(model)), "max_arena_bytes": model.arena_bytes}


def _sizes(point: TradeOff) -> Iterator[tuple[str, str, str, int | None]]:
    """What has a limit: a name, a unit, the name of the goal, and how much it is."""
    yield "model", "bytes", "max_model_bytes", point.model_bytes
    yield "arena", "bytes", "max_arena_bytes", point.arena_bytes
    yield "inference", "instructions", "max_instructions", point.instructions


def _remedy(goals: Goals) -> str:
    limited = any(getattr(goals, goal) is not None for goal in ("max_model_bytes", "max_arena_bytes", "max_instructions"))
    room = "raise the limits, " if limited else ""
    return f"{room}give all activations 16 bits (--bits 16), or weights too (FIXED16 in --settings), or lower the goal"


def _within(goals: Goals, point: TradeOff) -> bool:
    limits = ((getattr(goals, goal), size) for _, _, goal, size in _sizes(point))
    return all(limit is None or size is None or size <= limit for limit, size in limits)


def free_tensors(formats: Formats) -> Iterator[Role]:
    """Tensors whose format is neither set nor implied, in the order of execution within each kind."""
    free = (Reason.OBSERVED, Reason.ERROR, Reason.UNSATURATED, Reason.REFINED)
    for table in (formats.buffers, formats.kernels):
        yield from (role for role, choice in table.items() if choice.reason in free and choice.format.is_fixed)


def _neighbours(format_: QFormat) -> Iterator[QFormat]:
    middle = format_.frac_bits or 0
    yield from (format_.with_frac_bits(n) for n in (middle - 1, middle + 1) if MIN_FRAC_BITS <= n <= MAX_FRAC_BITS)
