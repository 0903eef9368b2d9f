"""The family of layers with weights and biases in fixed point."""

from __future__ import annotations

from typing import Any

from kerasq.layers.base import QuantizedKernel
from kerasq.quantizers import FixedPoint


class FixedPointKernel(QuantizedKernel):
    """Mixin in front of a Keras layer: kernel and bias each go through a `kerasq.quantizers.FixedPoint` of its own.

    Defaults: 8 bits with 7 of them fractional hold weights in [-1, 1). A bias enters the accumulator, whose step is that of
    the input times that of the kernel; 16 bits with 8 of them fractional are within its reach for every input of at least
    one fractional bit, so that the file need not round the bias again.
    """

    def __init__(
        self,
        *args: Any,
        bits: int = 8,
        frac_bits: int = 7,
        signed: bool = True,
        straight_through: str = "fine_grained",
        quantize_kernel: bool = True,
        quantize_bias: bool = True,
        bias_bits: int = 16,
        bias_frac_bits: int = 8,
        bias_signed: bool = True,
        bias_straight_through: str = "fine_grained",
        **kwargs: Any,
    ) -> None:
        self._refuse_seed(kwargs)
        kernel = FixedPoint(bits, frac_bits, signed, straight_through)
        try:
            bias = FixedPoint(bias_bits, bias_frac_bits, bias_signed, bias_straight_through)
        except ValueError as error:
            raise ValueError(f"The arguments that begin with `bias_` describe no format. {error}") from None
        super().__init__(
            *args,
            kernel_quantizer=kernel if quantize_kernel else None,
            bias_quantizer=bias if quantize_bias else None,
            **kwargs,
        )
        # Kept where a switch is off, too: the config describes the layer as it was made.
        self._kernel_arguments = kernel
        self._bias_arguments = bias

    def quantizer_config(self) -> dict[str, Any]:
        return {
            **self._kernel_arguments.get_config(),
            "quantize_kernel": self.kernel_quantizer is not None,
            "quantize_bias": self.bias_quantizer is not None,
            **{f"bias_{name}": value for name, value in self._bias_arguments.get_config().items()},
        }
