"""Distilled: a student that is trained on what a teacher answers, as well as on labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from kerasq.training.hints import HINT_LOSSES, with_hints


@keras.saving.register_keras_serializable("kerasq")
class Distilled(keras.Model):
    """Trains `student` to answer as `teacher` does.

    With s and t the outputs of student and teacher for the same inputs, L the loss that `compile` names and T the temperature:

        loss = (1 - share) · L(y, s) + share · T^2 · mean over the batch of H(softmax(t / T), softmax(s / T))
               + hint_weight · sum over the hints of their distances + what regularizers add

    H(p, q) = -sum of p log q is the cross-entropy. T^2 keeps the size of the second gradient as T grows. Where outputs are
    numbers (`temperature=None`), the second term is the mean of (t - s)^2. Several outputs are compared in pairs, and added.

    Called, evaluated, saved: the model has the inputs and outputs of the student, `evaluate` gives L and the metrics as the
    student alone would, and a .keras file has both networks. The student is trained in place; it is what one converts:
    `distilled.student`. The teacher is frozen (`teacher.trainable = False`) and computes as in inference.

    Args:
        student: The network to train. With hints: functional or Sequential.
        teacher: A network with the same inputs and as many outputs, of the same shapes. With hints: functional or Sequential.
        temperature: Divides the logits, a positive number: the higher, the more the classes count that are not the answer.
            `None`: outputs are values to come near to, not logits.
        share: Of the teacher in the loss, 0..1; the rest is the labels'.
        from_logits: Whether outputs are logits; `False`: probabilities, whose logarithms are taken.
        hints: Layers whose outputs are compared, too: names of student's layers -> names of teacher's layers, or a sequence of
            names that are the same in both.
        hint_weight: Factor of the distances of hints.
        hint_loss: `"attention"`: the squared distance of the maps of energy, the mean of the squares over the channels,
            each made a unit vector over all positions: channels may differ in number and size, so that it suits binary
            networks. `"mse"`: the mean squared difference, for outputs of equal shape.
        name: Name of the model.

    Raises:
        ValueError: An argument is out of its range, or networks or names don't fit; all that are wrong are named.

    Example:

    >>> distilled = kerasq.training.Distilled(student, teacher)
    >>> distilled.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    >>> distilled.fit(x_train, y_train, epochs=100)
    >>> distilled.student.save("student.keras")

    Source:
        Hinton, Vinyals, Dean, [arXiv:1503.02531](https://arxiv.org/abs/1503.02531); for networks of few bits: Polino, Pascanu,
        Alistarh, [arXiv:1802.05668](https://arxiv.org/abs/1802.05668). Hints: Romero et al.,
        [arXiv:1412.6550](https://arxiv.org/abs/1412.6550); attention: Zagoruyko, Komodakis,
        [arXiv:1612.03928](https://arxiv.org/abs/1612.03928).
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        temperature: float | None = 3.0,
        share: float = 0.9,
        *,
        from_logits: bool = True,
        hints: Mapping[str, str] | Sequence[str] | None = None,
        hint_weight: float = 1.0,
        hint_loss: str = "attention",
        name: str = "distilled",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        pairs = dict(hints) if isinstance(hints, Mapping) else {layer: layer for layer in hints or ()}
        _check(student, teacher, temperature, share, pairs, hint_weight, hint_loss)
        self.student = student
        self.teacher = teacher
        teacher.trainable = False
        self.temperature, self.share, self.from_logits = temperature, share, from_logits
        self.hints, self.hint_weight, self.hint_loss = pairs, hint_weight, hint_loss
        self._student_and_hints = with_hints(student, list(pairs)) if pairs else student
        self._teacher_and_hints = with_hints(teacher, list(pairs.values())) if pairs else teacher
        self.built = student.built

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The outputs of the student; in training as a pair with those of the layers that are compared."""
        if not training:
            return self.student(inputs, training=training)
        return self._answers(self._student_and_hints, inputs, training=True)

    def _answers(self, network: Any, inputs: Any, training: bool) -> tuple[Any, Any]:
        """The outputs of a network, and those of the layers that are compared."""
        outputs = network(inputs, training=training)
        return tuple(outputs) if self.hints else (outputs, [])

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool | None = True
    ) -> Any:
        if not training:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        outputs, compared = y_pred
        penalties = sum(self.losses)  # as they are before the teacher computes
        labelled = super().compute_loss(x, y, outputs, sample_weight, training) - penalties
        wanted, shown = self._answers(self._teacher_and_hints, x, training=False)
        loss = (1.0 - self.share) * labelled + self.share * self._distance(outputs, wanted, sample_weight) + penalties
        for ours, theirs in zip(compared, shown, strict=True):
            distance = HINT_LOSSES[self.hint_loss](_float32(ours), ops.stop_gradient(_float32(theirs)))
            loss = loss + self.hint_weight * distance
        return loss

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        outputs = y_pred[0] if isinstance(y_pred, tuple) and len(y_pred) == 2 and isinstance(y_pred[1], list) else y_pred
        return super().compute_metrics(x, y, outputs, sample_weight)

    def _distance(self, outputs: Any, wanted: Any, sample_weight: Any) -> Any:
        """The second term of the loss, without `share`."""
        pairs = zip(keras.tree.flatten(outputs), keras.tree.flatten(wanted), strict=True)
        weights = keras.tree.flatten(sample_weight)
        rows: Any = 0.0
        for ours, theirs in pairs:
            row = self._row_distances(_float32(ours), ops.stop_gradient(_float32(theirs)))
            rows = rows + ops.mean(ops.reshape(row, (ops.shape(row)[0], -1)), axis=1)
        return ops.mean(rows * _float32(weights[0]) if len(weights) == 1 and weights[0] is not None else rows)

    def _row_distances(self, ours: Any, theirs: Any) -> Any:
        if self.temperature is None:
            return ops.square(theirs - ours)
        if not self.from_logits:
            ours, theirs = (ops.log(ops.maximum(values, keras.config.epsilon())) for values in (ours, theirs))
        soft, logs = ops.softmax(theirs / self.temperature), ops.log_softmax(ours / self.temperature)
        return -(self.temperature**2) * ops.sum(soft * logs, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **{name: keras.saving.serialize_keras_object(getattr(self, name)) for name in ("student", "teacher")},
            **{name: getattr(self, name) for name in ("temperature", "share", "from_logits", "hint_weight", "hint_loss", "name")},
            "hints": dict(self.hints),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Distilled:
        networks = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("student", "teacher")
        }
        return cls(**{**config, **networks})


def _float32(values: Any) -> Any:
    return ops.cast(values, "float32")


def _check(
    student: Any, teacher: Any, temperature: Any, share: Any, pairs: dict[str, str], hint_weight: Any, hint_loss: Any
) -> None:
    problems = []
    if temperature is not None and not (_is_number(temperature) and temperature > 0):
        problems.append(f"`temperature` must be a positive number or None. Received: temperature={temperature!r}")
    if not (_is_number(share) and 0 <= share <= 1):
        problems.append(f"`share` must be in 0..1. Received: share={share!r}")
    if not (_is_number(hint_weight) and hint_weight >= 0):
        problems.append(f"`hint_weight` must be a number that is not negative. Received: hint_weight={hint_weight!r}")
    if hint_loss not in HINT_LOSSES:
        problems.append(f"`hint_loss` must be one of {', '.join(map(repr, HINT_LOSSES))}. Received: hint_loss={hint_loss!r}")
    for role, network, names in (("student", student, pairs), ("teacher", teacher, pairs.values())):
        if not isinstance(network, keras.Model):
            problems.append(f"`{role}` must be a keras.Model. Received: {role}={network!r}")
            continue
        problems += _hint_problems(role, network, list(names))
    if not problems:
        shapes = [[tuple(o.shape) for o in keras.tree.flatten(getattr(n, "outputs", None) or [])] for n in (student, teacher)]
        if all(shapes) and shapes[0] != shapes[1]:
            problems.append(f"Outputs of student and teacher must have equal shapes. Received: {shapes[0]} and {shapes[1]}")
    if problems:
        raise ValueError("\n".join(problems))


def _hint_problems(role: str, network: keras.Model, names: list[str]) -> list[str]:
    if names and not getattr(network, "inputs", None):
        return [
            f"Hints need a functional or Sequential `{role}`, whose layers' outputs can be named. Received: {role}={network!r}"
        ]
    own = {layer.name for layer in network.layers}
    return [f"`hints` names {name!r}, which is no layer of the {role}." for name in names if name not in own]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
