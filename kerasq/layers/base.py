"""What turns a Keras layer with a kernel into a layer that computes with the quantized kernel."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasq.qformat import FLOAT32, QFormat, fixed
from kerasq.quantizers import FixedPoint, Quantizer


class AlreadyQuantized(keras.layers.Layer):
    """Mixin in front of a Keras layer: refuses Keras' own post-training quantization and LoRA.

    `keras.Model.quantize` skips a layer that raises NotImplementedError, with a warning.
    """

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            f"{type(self).__name__} is quantized already: its weights and outputs have the formats it was made with, and "
            "Keras' post-training quantization does not apply."
        )

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            f"{type(self).__name__} does not support LoRA: a low-rank update of the latent kernel would be quantized away."
        )


class QuantizedKernel(AlreadyQuantized):
    """Mixin in front of `keras.layers.Conv2D` or `keras.layers.Dense`.

    `kernel` and `bias` stay the latent variables that Keras trains and saves; `quantized_kernel` and `quantized_bias` are
    what the layer computes with. Families of layers derive from it, add their arguments and extend `get_config`.

    Args:
        *args, **kwargs: Arguments of the Keras layer.
        kernel_quantizer: Quantizer of the kernel, or `None` for a float kernel.
        bias_quantizer: The same for the bias.
    """

    def __init__(
        self,
        *args: Any,
        kernel_quantizer: Quantizer | None,
        bias_quantizer: Quantizer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._refuse_keras_quantization()
        self.kernel_quantizer: Any = kernel_quantizer
        self.bias_quantizer = bias_quantizer
        self.seed_generator: keras.random.SeedGenerator | None = None  # of a stochastic kernel quantizer

    def _refuse_keras_quantization(self) -> None:
        refused = {
            "lora_rank": self.lora_rank,
            "quantization_config": getattr(self, "quantization_config", None),
            "dtype": self.dtype_policy.name if self.quantization_mode else None,
        }
        given = ", ".join(f"{name}={value!r}" for name, value in refused.items() if value is not None)
        if given:
            raise ValueError(
                f"{type(self).__name__} does not support LoRA or the quantization modes of Keras: it is quantized already. "
                f"Expected `lora_rank` and `quantization_config` to be None and `dtype` to be a float policy. Received: {given}"
            )

    def add_weight(self, *args: Any, **kwargs: Any) -> keras.Variable:
        """As Keras' own, but mixed precision does not cast the variable on reading: it is quantized first."""
        kwargs.setdefault("autocast", False)
        return super().add_weight(*args, **kwargs)

    @property
    def quantized_kernel(self) -> Any:
        """The kernel that inference computes with: a tensor of the shape and dtype of `kernel`. Deterministic."""
        return self._quantize_kernel(training=False)

    @property
    def quantized_bias(self) -> Any:
        """The bias that the layer computes with; `None` without a bias."""
        if self.bias is None:
            return None
        return ops.convert_to_tensor(self.bias) if self.bias_quantizer is None else self.bias_quantizer(self.bias)

    @property
    def kernel_format(self) -> QFormat:
        """The narrowest format that holds every possible `quantized_kernel` (SIGN: up to a factor per output channel)."""
        return _constant_format(self.kernel_quantizer)

    @property
    def bias_format(self) -> QFormat | None:
        """The format of `quantized_bias`; `None` without a bias."""
        return _constant_format(self.bias_quantizer) if self.use_bias else None

    def _quantize_kernel(self, training: bool | None) -> Any:
        if self.kernel_quantizer is None:
            return ops.convert_to_tensor(self.kernel)
        return self.kernel_quantizer(self.kernel, training=training, seed=self.seed_generator)

    def _forward_kernel(self, training: bool | None) -> Any:
        return ops.cast(self._quantize_kernel(training), self.compute_dtype)

    def _forward_bias(self) -> Any:
        return ops.cast(self.quantized_bias, self.compute_dtype)


def _constant_format(quantizer: Quantizer | None) -> QFormat:
    """The format of a kernel or a bias. Those of a file are signed: unsigned values need a bit more."""
    if quantizer is None:
        return FLOAT32
    spec = quantizer.spec()
    if not isinstance(quantizer, FixedPoint) or quantizer.signed:
        return spec
    return fixed(next(width for width in (4, 8, 16, 32) if width > quantizer.bits), spec.frac_bits)
