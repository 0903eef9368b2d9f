"""FlipRatio: the share of weights whose sign changes."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerasq")
class FlipRatio(keras.metrics.Metric):
    """The mean share of values whose sign (-1, 0 or 1) is another one than at the update before.

    Of quantized binary or ternary kernels that is the share of stored weights that changed. Shares that stay high while the
    learning rate falls are weights that oscillate about their threshold: statistics of batch normalization, moving averages, are
    then not those of the weights as they are (`kerasq.callbacks.ReestimateBatchNorm`).

    `kerasq.callbacks.FlipRatios` updates one per layer in `fit`.

    Args:
        shape: Shape of the values.
        name, dtype: As of any metric.

    Example:

    >>> ratio = kerasq.metrics.FlipRatio((4,))
    >>> ratio.update_state([1.0, -1.0, 0.5, 0.0])
    >>> ratio.update_state([2.0, 1.0, 0.5, -1.0])
    >>> float(ratio.result())
    0.5
    """

    def __init__(self, shape: tuple[int, ...], name: str = "flip_ratio", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.shape = tuple(shape)
        self.signs = self.add_variable(self.shape, "zeros", name="signs", dtype="int8")
        self.updates = self.add_variable((), "zeros", name="updates", dtype="int32")
        self.total = self.add_variable((), "zeros", name="total", dtype="float32")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Compares with the values of the call before; those of the first call are only kept."""
        signs = ops.cast(ops.sign(ops.convert_to_tensor(values)), "int8")
        changed = ops.mean(ops.cast(ops.not_equal(signs, self.signs), "float32"))
        self.total.assign(self.total + ops.where(self.updates > 0, changed, 0.0))
        self.signs.assign(signs)
        self.updates.assign(self.updates + 1)

    def result(self) -> Any:
        """Between 0 and 1; 0 until values were compared."""
        return self.total / ops.cast(ops.maximum(self.updates - 1, 1), "float32")

    def reset_state(self) -> None:
        """Forgets the shares, and keeps the values: the next update is compared with the last one."""
        self.total.assign(0.0)
        self.updates.assign(ops.minimum(self.updates, 1))

    def get_config(self) -> dict[str, Any]:
        return {"shape": self.shape, "name": self.name, "dtype": self.dtype}
