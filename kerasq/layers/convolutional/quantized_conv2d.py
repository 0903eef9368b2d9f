"""The forward pass of the two-dimensional convolutions."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasq.layers.base import QuantizedKernel


class QuantizedConv2D(QuantizedKernel, keras.layers.Conv2D):
    """`keras.layers.Conv2D` on the quantized kernel and bias."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs = self.convolution_op(inputs, self._forward_kernel(training))
        if self.use_bias:
            shape = (1, 1, 1, self.filters) if self.data_format == "channels_last" else (1, self.filters, 1, 1)
            outputs = ops.add(outputs, ops.reshape(self._forward_bias(), shape))
        return outputs if self.activation is None else self.activation(outputs)
