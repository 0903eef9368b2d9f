"""What turns a Keras layer with a kernel into a layer that computes with the quantized kernel."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasq import quantizers
from kerasq.layers.quantizer_state import at_state, quantized, state_of
from kerasq.qformat import FLOAT32, QFormat
from kerasq.quantizers import Quantizer, QuantizerLike, StatefulQuantizer


def activation_format(spec: QFormat) -> QFormat:
    """The format of a tensor of such values on the device, where activations take 8 or 16 bits."""
    return spec if spec.bits >= 8 else QFormat(spec.kind, 8, spec.frac_bits)


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
    """Mixin in front of a Keras layer with a kernel: what all layers have in common that compute with a quantized kernel.

    `kernel` and `bias` stay the latent variables that Keras trains and saves; `quantized_kernel` and `quantized_bias` are
    what the layer computes with. A kind of layer (`QuantizedConv2D`) defines `linear`, and how a quantizer sees its kernel
    where output channels are not the last axis. A family (`BinaryWeightKernel`) has arguments of its own for its quantizer.

    Args:
        *args, **kwargs: Arguments of the Keras layer.
        kernel_quantizer: What stands for the quantizer of the kernel (`kerasq.quantizers.get`); `None` for a float kernel.
        bias_quantizer: The same for the bias.
        sum_quantizer: The same for what the activation function reads: a device stores that wherever the function takes a table.
        output_quantizer: The same for what the layer returns.
        seed: Integer seed of the draws of a stochastic quantizer; `None`: a different one each time.
    """

    def __init__(
        self,
        *args: Any,
        kernel_quantizer: QuantizerLike,
        bias_quantizer: QuantizerLike = None,
        sum_quantizer: QuantizerLike = None,
        output_quantizer: QuantizerLike = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._refuse_keras_quantization()
        self.kernel_quantizer: Any = quantizers.get(kernel_quantizer, "kernel_quantizer")
        self.bias_quantizer: Any = quantizers.get(bias_quantizer, "bias_quantizer")
        self.kernel_state = state_of(self.kernel_quantizer, "kernel_state")
        self.bias_state = state_of(self.bias_quantizer, "bias_state")
        self.sum_quantizer: Any = quantizers.get(sum_quantizer, "sum_quantizer")
        self.output_quantizer: Any = quantizers.get(output_quantizer, "output_quantizer")
        for name in ("sum_quantizer", "output_quantizer"):
            if isinstance(getattr(self, name), StatefulQuantizer):
                raise ValueError(
                    f"`{name}` must be a quantizer that learns nothing; kerasq.layers.Quantize, as a layer after this one, keeps "
                    f"what a quantizer learns. Received: {name}={getattr(self, name)!r}"
                )
        self.seed = seed
        used = (self.kernel_quantizer, self.bias_quantizer, self.sum_quantizer, self.output_quantizer)
        stochastic = any(quantizer is not None and quantizer.stochastic for quantizer in used)
        # Made here rather than in `build`, so that Keras tracks its state under jit and saves it with the layer.
        self.seed_generator = keras.random.SeedGenerator(seed) if stochastic else None

    def _refuse_keras_quantization(self) -> None:
        arguments = {
            "lora_rank": getattr(self, "lora_rank", None),
            "quantization_config": getattr(self, "quantization_config", None),
            "dtype": self.dtype_policy.name if self.quantization_mode else None,
        }
        refused = ", ".join(f"{name}={value!r}" for name, value in arguments.items() if value is not None)
        if refused:
            raise ValueError(
                f"{type(self).__name__} does not support LoRA or the quantization modes of Keras: it is quantized already. "
                f"Expected `lora_rank` and `quantization_config` to be None and `dtype` to be a float policy. Received: {refused}"
            )

    def _refuse_seed(self, arguments: dict[str, Any]) -> None:
        """For a family whose quantizers draw nothing: a seed is no argument of it, as Keras says it of any other name."""
        if "seed" in arguments:
            received = {"seed": arguments["seed"]}
            raise ValueError(f"Unrecognized keyword arguments passed to {type(self).__name__}: {received}")

    def add_weight(self, *args: Any, **kwargs: Any) -> keras.Variable:
        """As Keras' own, but mixed precision does not cast the variable on reading: it is quantized first."""
        kwargs.setdefault("autocast", False)
        return super().add_weight(*args, **kwargs)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.kernel_state is not None:
            latent = self.output_channels_last(self.kernel)
            self.kernel_state.create(latent.shape[-1], lambda: self.output_channels_last(ops.convert_to_tensor(self.kernel)))
        if self.bias_state is not None and self.use_bias:
            self.bias_state.create(self.bias.shape[-1], lambda: ops.convert_to_tensor(self.bias))

    def reset_quantizers(self) -> None:
        """Sets what quantizers learn to what they begin with for the present kernel and bias: after `set_weights`, say."""
        if self.kernel_state is not None:
            self.kernel_state.begin(self.output_channels_last(self.kernel))
        if self.bias_state is not None and self.use_bias:
            self.bias_state.begin(self.bias)

    def linear(self, inputs: Any, kernel: Any) -> Any:
        """What the layer computes before it adds the bias. A kind of layer defines it; `kernel` is shaped as Keras' own."""
        raise NotImplementedError

    def output_channels_last(self, kernel: Any) -> Any:
        """`kernel` as a quantizer sees it: output channels on the last axis, each with all of its weights."""
        return kernel

    def as_kernel(self, values: Any) -> Any:
        """The inverse of `output_channels_last`."""
        return values

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        kernel = ops.cast(self._quantize_kernel(training), self.compute_dtype)
        outputs = self.linear(inputs, kernel)
        if self.use_bias:
            bias = ops.cast(self._quantize_bias(training), self.compute_dtype)
            if getattr(self, "data_format", None) == "channels_first":
                bias = ops.reshape(bias, (1, -1) + (1,) * (len(outputs.shape) - 2))
            outputs = ops.add(outputs, bias)
        outputs = self._quantize_activation(self.sum_quantizer, outputs, training)
        outputs = outputs if self.activation is None else self.activation(outputs)
        return self._quantize_activation(self.output_quantizer, outputs, training)

    def _quantize_activation(self, quantizer: Quantizer | None, values: Any, training: bool | None) -> Any:
        if quantizer is None:
            return values
        return ops.cast(quantizer(values, training=training, seed=self.seed_generator), self.compute_dtype)

    @property
    def quantized_kernel(self) -> Any:
        """The kernel that inference computes with: a tensor of the shape and dtype of `kernel`. Deterministic."""
        return self._quantize_kernel(training=False)

    @property
    def quantized_bias(self) -> Any:
        """The bias that inference computes with; `None` without a bias."""
        return None if self.bias is None else self._quantize_bias(training=False)

    @property
    def kernel_format(self) -> QFormat:
        """The narrowest format that holds every possible `quantized_kernel` (SIGN: up to a factor per output channel)."""
        return _constant_format(at_state(self.kernel_quantizer, self.kernel_state))

    @property
    def bias_format(self) -> QFormat | None:
        """The format of `quantized_bias`; `None` without a bias."""
        return _constant_format(at_state(self.bias_quantizer, self.bias_state)) if self.use_bias else None

    def _quantize_kernel(self, training: bool | None) -> Any:
        kernel = ops.convert_to_tensor(self.kernel)
        if self.kernel_quantizer is None:
            return kernel
        latent = self.output_channels_last(kernel)
        return self.as_kernel(quantized(self.kernel_quantizer, self.kernel_state, latent, training, self.seed_generator))

    def _quantize_bias(self, training: bool | None) -> Any:
        bias = ops.convert_to_tensor(self.bias)
        if self.bias_quantizer is None:
            return bias
        return quantized(self.bias_quantizer, self.bias_state, bias, training, self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        activations = {"sum_quantizer": self.sum_quantizer, "output_quantizer": self.output_quantizer}
        used = {name: keras.saving.serialize_keras_object(value) for name, value in activations.items() if value is not None}
        return {**super().get_config(), **self.quantizer_config(), **used}

    def quantizer_config(self) -> dict[str, Any]:
        """The part of the config that is not of the Keras layer. A family gives its own arguments instead."""
        quantizer_objects = {"kernel_quantizer": self.kernel_quantizer, "bias_quantizer": self.bias_quantizer}
        serialized = {name: keras.saving.serialize_keras_object(value) for name, value in quantizer_objects.items()}
        return {**serialized, "seed": self.seed}


def _constant_format(quantizer: Quantizer | None) -> QFormat:
    return FLOAT32 if quantizer is None else quantizer.constant_spec()
