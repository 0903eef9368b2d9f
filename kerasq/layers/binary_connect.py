"""The family of layers with weights +1 and -1."""

from __future__ import annotations

from typing import Any

from kerasq.layers.base import QuantizedKernel
from kerasq.quantizers import BinaryConnect


class BinaryConnectKernel(QuantizedKernel):
    """Mixin in front of a Keras layer: its kernel goes through `kerasq.quantizers.BinaryConnect`; the bias stays float."""

    def __init__(
        self,
        *args: Any,
        quantize_zero_to: float = 1.0,
        straight_through: str = "identity",
        stochastic: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        quantizer = BinaryConnect(quantize_zero_to, stochastic, straight_through)
        super().__init__(*args, kernel_quantizer=quantizer, seed=seed, **kwargs)

    def quantizer_config(self) -> dict[str, Any]:
        return {**self.kernel_quantizer.get_config(), "seed": self.seed}
