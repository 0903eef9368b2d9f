"""The forward pass of the dense layers."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasq.layers.base import QuantizedKernel


class QuantizedDense(QuantizedKernel, keras.layers.Dense):
    """`keras.layers.Dense` on the quantized kernel and bias."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs = ops.matmul(inputs, self._forward_kernel(training))
        if self.use_bias:
            outputs = ops.add(outputs, self._forward_bias())
        return outputs if self.activation is None else self.activation(outputs)
