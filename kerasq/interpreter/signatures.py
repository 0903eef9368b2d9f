"""The network as a function of its inputs by name, the way tf.lite has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasq.interpreter.batches import Batches

if TYPE_CHECKING:
    from kerasq.interpreter.interpreter import Interpreter

NAME = "serving_default"  # the one signature that a .kq file has


class SignatureRunner:
    """What `Interpreter.get_signature_runner` returns: to be called with the network's inputs by keyword.

    Arrays of exactly an input's stored dtype are stored integers; all other numbers are values, quantized to the input's format.
    Where all inputs came stored, so do the outputs, as from a quantized network in tf.lite; where one came as values, the outputs
    are float32 values. The interpreter takes over the batch size of what it is called with.

    Example:

    >>> runner = kerasq.Interpreter(model_path="model.kq").get_signature_runner()
    >>> runner(image=images)["scores"]
    """

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter

    def get_input_details(self) -> dict[str, dict[str, Any]]:
        """Details of the network's inputs, by name."""
        return {details["name"]: details for details in self._interpreter.get_input_details()}

    def get_output_details(self) -> dict[str, dict[str, Any]]:
        """Details of the network's outputs, by name."""
        return {details["name"]: details for details in self._interpreter.get_output_details()}

    def __call__(self, **inputs: Any) -> dict[str, np.ndarray]:
        """Outputs by name.

        Raises:
            ValueError: Names, shapes or batch sizes don't fit.
            TypeError: Something is no array of real numbers.
        """
        model = self._interpreter.model
        if not inputs:
            raise ValueError(f"The network's inputs are {', '.join(map(repr, model.named_inputs()))}. Received: nothing")
        batches = Batches(model, inputs)
        for index, stored in zip(model.inputs, batches.stored(slice(None)), strict=True):
            self._interpreter.resize_tensor_input(index, stored.shape)
            self._interpreter.set_tensor(index, stored)
        self._interpreter.invoke()
        return {name: self._output(one, batches.are_stored) for name, one in self.get_output_details().items()}

    def _output(self, details: dict[str, Any], stored: bool) -> np.ndarray:
        values = self._interpreter.get_tensor(details["index"])
        return values if stored else details["format"].dequantize(values)
