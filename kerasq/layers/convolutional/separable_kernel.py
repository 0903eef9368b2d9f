"""What separable layers have in common: two kernels, and a value between them."""

from __future__ import annotations

from typing import Any, ClassVar

from keras import ops

from kerasq import quantizers
from kerasq.layers.base import QuantizedKernel, activation_quantizer, constant_format
from kerasq.layers.convolutional.depthwise_kernel import channels_last, depthwise_outputs
from kerasq.layers.kernel_part import KernelPart
from kerasq.layers.quantizer_state import at_state, state_of
from kerasq.qformat import QFormat
from kerasq.quantizers import QuantizerLike

DEPTHWISE = KernelPart(
    "depthwise_kernel", "depthwise_quantizer", "depthwise_state", "depthwise_channels_last", "as_depthwise_kernel"
)
POINTWISE = KernelPart("pointwise_kernel", "kernel_quantizer", "kernel_state")


class SeparableKernel(QuantizedKernel):
    """Mixin in front of a separable layer: `kernel` is its pointwise kernel, `depthwise_kernel` goes through a quantizer, too.

    Args:
        depthwise_quantizer: What stands for the quantizer of the depthwise kernel; `None`: it is used as it is.
        depthwise_output_quantizer: The same for what the depthwise half computes: a device stores that.
    """

    kernel_parts: ClassVar[tuple[KernelPart, ...]] = (DEPTHWISE, POINTWISE)
    activation_quantizers: ClassVar[tuple[str, ...]] = (
        "depthwise_output_quantizer",
        *QuantizedKernel.activation_quantizers,
    )

    def __init__(
        self,
        *args: Any,
        kernel_quantizer: QuantizerLike,
        depthwise_quantizer: QuantizerLike = None,
        bias_quantizer: QuantizerLike = None,
        depthwise_output_quantizer: QuantizerLike = None,
        sum_quantizer: QuantizerLike = None,
        output_quantizer: QuantizerLike = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            kernel_quantizer=kernel_quantizer,
            bias_quantizer=bias_quantizer,
            sum_quantizer=sum_quantizer,
            output_quantizer=output_quantizer,
            seed=seed,
            **kwargs,
        )
        self.depthwise_quantizer: Any = quantizers.get(depthwise_quantizer, "depthwise_quantizer")
        self.depthwise_state = state_of(self.depthwise_quantizer, "depthwise_state")
        self.depthwise_output_quantizer: Any = activation_quantizer(depthwise_output_quantizer, "depthwise_output_quantizer")
        self.draw_for(self.depthwise_quantizer, self.depthwise_output_quantizer)

    @property
    def kernel(self) -> Any:
        """The latent pointwise kernel."""
        return self.pointwise_kernel

    @property
    def quantized_depthwise_kernel(self) -> Any:
        """The depthwise kernel that inference computes with."""
        return self.quantize_kernel(DEPTHWISE)

    @property
    def depthwise_format(self) -> QFormat:
        """The narrowest format that holds every possible `quantized_depthwise_kernel` (SIGN: up to a factor per channel)."""
        return constant_format(at_state(self.depthwise_quantizer, self.depthwise_state))

    def depthwise_channels_last(self, kernel: Any) -> Any:
        return channels_last(kernel)

    def as_depthwise_kernel(self, values: Any) -> Any:
        return ops.reshape(values, (*self.kernel_size, -1, self.depth_multiplier))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        between = depthwise_outputs(self, inputs, self.computed_kernel(DEPTHWISE, training))
        between = self.quantize_activation(self.depthwise_output_quantizer, between, training)
        return super().call(between, training)

    def linear(self, inputs: Any, kernel: Any) -> Any:
        return ops.conv(inputs, kernel, strides=1, padding="valid", data_format=self.data_format)
