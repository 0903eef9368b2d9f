"""The outputs of a quantized network beside those of the float one: how far apart they are."""

from __future__ import annotations

import dataclasses

import numpy as np

from kerasq.format import Model
from kerasq.inputs import listed
from kerasq.interpreter import Interpreter
from kerasq_convert.comparison.logits import beside_logits, scored, scored_outputs

Arrays = list[np.ndarray]
DEVIATIONS = 2.5  # of the mean gain of an example, by which that must exceed zero for a shift to be kept
LITTLE_DB = 15.0  # below that, outputs have little to do with the float network's
FAIR_DB = 25.0  # what a network of 8 bits should reach


def run(model: Model, inputs: Arrays, engine: str | None = None) -> Arrays:
    """Outputs as float64 values, an array per output."""
    outputs = Interpreter(model_content=model, engine=engine, max_bytes=None).predict(inputs)
    return [array.astype(np.float64) for array in listed(outputs)]


def noise_shares(outputs: Arrays, wanted: Arrays) -> np.ndarray:
    """Noise : signal, the mean over the outputs, each measured against its own power; what each example adds to it."""
    shares = [
        np.sum((array - signal).reshape(len(signal), -1) ** 2, axis=1) / max(np.sum(signal**2), np.finfo(np.float64).tiny)
        for array, signal in zip(outputs, wanted, strict=True)
    ]
    return np.mean(shares, axis=0)


def signal_to_noise_db(outputs: Arrays, wanted: Arrays) -> float:
    """Over all outputs, each weighed by its own power; infinite where nothing differs."""
    with np.errstate(divide="ignore"):
        return -10 * float(np.log10(np.sum(noise_shares(outputs, wanted))))


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The float network's outputs for some examples, scores in place of labels, and what is below a softmax among them.

    Attributes:
        inputs: The examples, an array (count, ...) for each input.
        outputs, logits: An array for each output, once as the network gives it and once without a final softmax.
    """

    inputs: Arrays
    outputs: Arrays
    logits: Arrays

    @classmethod
    def of(cls, reference: Model, inputs: Arrays) -> Wanted:
        """What the float network gives."""
        outputs = run(beside_logits(reference), inputs, engine="reference")  # BLAS: the faster one in float
        return cls(inputs, *_parted(outputs, len(scored_outputs(reference))))

    @property
    def examples(self) -> int:
        return len(self.inputs[0])

    def first(self, count: int) -> Wanted:
        """The same for the first examples only."""
        return Wanted(*([array[:count] for array in arrays] for arrays in (self.inputs, self.outputs, self.logits)))

    def noise(self, model: Model, outputs: int, *, centred: bool = False) -> np.ndarray:
        """`noise_shares` of `beside_logits` of a model with so many outputs: (2, examples), at the outputs and at the logits.

        If `centred`, without the errors that all examples have in common.
        """
        pairs = zip(_parted(run(model, self.inputs), outputs), (self.outputs, self.logits), strict=True)
        return np.stack([noise_shares(_centred(arrays, wanted) if centred else arrays, wanted) for arrays, wanted in pairs])


def _centred(outputs: Arrays, wanted: Arrays) -> Arrays:
    return [array - np.mean(array - signal, axis=0) for array, signal in zip(outputs, wanted, strict=True)]


def _parted(arrays: Arrays, outputs: int) -> tuple[Arrays, Arrays]:
    return arrays[:outputs], arrays[outputs:] or arrays[:outputs]


def is_better(after: np.ndarray, before: np.ndarray) -> bool:
    """Whether noise, as `Wanted.noise` gives it, is less by more than examples differ by chance, and more nowhere.

    Not more in the typical example, either: the sum is that of the few that have most of the noise.
    """
    gain, floor = before - after, np.mean(before) * 1e-6 + np.finfo(np.float64).tiny
    typical = np.mean(np.log((after + floor) / (before + floor)), axis=1)
    deviation = np.std(gain, axis=1) / np.sqrt(gain.shape[1])
    is_no_loss = np.all(np.sum(gain, axis=1) >= 0) and np.all(typical <= 0)
    return bool(is_no_loss and np.any(np.mean(gain, axis=1) > DEVIATIONS * deviation))


@dataclasses.dataclass(frozen=True)
class OutputError:
    """How near an output of the quantized network is to the float network's.

    Attributes:
        name: Of the tensor.
        sqnr_db: Signal-to-noise ratio in dB; of labels that of the scores which their argmax reads.
        same_class: Share of the labels that are the same; of scores, an output of several values in a row, share of the examples
            whose largest value is at the same place; `None` for others.
    """

    name: str
    sqnr_db: float
    same_class: float | None


def compare(model: Model, wanted: Wanted) -> list[OutputError]:
    """Every output of a network on examples."""
    errors, outputs = [], run(scored(model), wanted.inputs)
    for (measured, index), output, signal in zip(scored_outputs(model).items(), outputs, wanted.outputs, strict=True):
        same, is_row = None, signal.ndim >= 2 and signal.shape[-1] > 1 and signal.size == len(signal) * signal.shape[-1]
        if is_row or measured != index:
            same = float(np.mean(output.argmax(axis=-1) == signal.argmax(axis=-1)))
        errors.append(OutputError(model.tensors[index].name, signal_to_noise_db([output], [signal]), same))
    return errors


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Top-1 of the first output: shares of the labelled examples.

    Attributes:
        quantized, in_float: Of the quantized network, and of the float one.
        examples: How many were looked at.
    """

    quantized: float
    in_float: float
    examples: int

    def __str__(self) -> str:
        return f"{100 * self.quantized:.1f}%, of the float network {100 * self.in_float:.1f}% (of {self.examples} examples)"


def accuracy(model: Model, wanted: Wanted, labels: np.ndarray) -> Accuracy:
    """How often the largest value of the first output is at the place that a label says; as many examples as there are labels."""
    labels = labels[: wanted.examples]
    seen = wanted.first(len(labels))
    quantized = top_1(run(scored(model), seen.inputs)[0], labels)
    return Accuracy(quantized, top_1(seen.outputs[0], labels), len(labels))


def top_1(output: np.ndarray, labels: np.ndarray) -> float:
    """The share of the examples whose largest value is at the place that the label says."""
    return float(np.mean(output.reshape(len(output), -1).argmax(axis=1) == labels))


def lost_features(model: Model, wanted: Wanted) -> dict[str, dict[int, tuple[float, float]]]:
    """Features (places on the last axis) of each input whose format keeps little of their variation, with their ranges."""
    lost: dict[str, dict[int, tuple[float, float]]] = {}
    for index, array in zip(model.inputs, wanted.inputs, strict=True):
        tensor = model.tensors[index]
        values = array.reshape(-1, array.shape[-1]).astype(np.float64)
        noise = np.var(tensor.format.dequantize(tensor.format.quantize(values), np.float64) - values, axis=0)
        places = np.flatnonzero(noise > np.var(values, axis=0) * 10 ** (-LITTLE_DB / 10))
        if places.size:
            lost[tensor.name] = {int(place): (float(values[:, place].min()), float(values[:, place].max())) for place in places}
    return lost
