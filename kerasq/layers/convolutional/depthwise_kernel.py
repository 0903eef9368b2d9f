"""What layers with a depthwise kernel have in common."""

from __future__ import annotations

from typing import Any

from keras import ops

from kerasq.layers.base import QuantizedKernel


def channels_last(kernel: Any) -> Any:
    """A kernel (..., channels, multiplier) with an output channel for each channel and multiple on the last axis."""
    return ops.reshape(kernel, (*kernel.shape[:-2], 1, -1))


def depthwise_outputs(layer: Any, inputs: Any, kernel: Any) -> Any:
    """What a depthwise or separable layer, Keras' own too, computes with its depthwise kernel."""
    return ops.depthwise_conv(
        inputs,
        kernel,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
    )


class DepthwiseKernel(QuantizedKernel):
    """Mixin in front of a depthwise layer: a quantizer sees an output channel for each input channel and multiple."""

    def output_channels_last(self, kernel: Any) -> Any:
        return channels_last(kernel)

    def as_kernel(self, values: Any) -> Any:
        return ops.reshape(values, (*self.kernel_size, -1, self.depth_multiplier))

    def linear(self, inputs: Any, kernel: Any) -> Any:
        return depthwise_outputs(self, inputs, kernel)
