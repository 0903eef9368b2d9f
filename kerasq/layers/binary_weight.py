"""The family of layers with weights +alpha and -alpha."""

from __future__ import annotations

from typing import Any

from kerasq.layers.base import QuantizedKernel
from kerasq.quantizers import BinaryWeight


class BinaryWeightKernel(QuantizedKernel):
    """Mixin in front of a Keras layer: its kernel goes through `kerasq.quantizers.BinaryWeight`; the bias stays float."""

    def __init__(self, *args: Any, quantize_zero_to: float = 1.0, straight_through: str = "identity", **kwargs: Any) -> None:
        self._refuse_seed(kwargs)
        super().__init__(*args, kernel_quantizer=BinaryWeight(quantize_zero_to, straight_through), **kwargs)

    @property
    def alpha(self) -> Any:
        """Magnitude of the quantized weights of each output channel: a tensor of shape `(channels,)`."""
        return self.kernel_quantizer.alpha(self.output_channels_last(self.kernel))

    def quantizer_config(self) -> dict[str, Any]:
        return self.kernel_quantizer.get_config()
