"""What layers of transposed convolution have in common."""

from __future__ import annotations

from typing import Any

from keras import ops

from kerasq.layers.base import QuantizedKernel


class TransposedKernel(QuantizedKernel):
    """Mixin in front of a transposed convolution, whose kernel has its output channels on the last axis but one."""

    def output_channels_last(self, kernel: Any) -> Any:
        return ops.swapaxes(kernel, -2, -1)

    def as_kernel(self, values: Any) -> Any:
        return ops.swapaxes(values, -2, -1)

    def linear(self, inputs: Any, kernel: Any) -> Any:
        return ops.conv_transpose(
            inputs,
            kernel,
            strides=list(self.strides),
            padding=self.padding,
            output_padding=self.output_padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
