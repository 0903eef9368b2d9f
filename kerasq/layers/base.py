"""What turns a Keras layer with a kernel into a layer that computes with the quantized kernel."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import keras
from keras import ops

from kerasq import quantizers
from kerasq.layers.kernel_part import KERNEL, KernelPart
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
    where output channels are not the last axis. One with another kernel beside it names both (`SeparableKernel`). A family
    (`BinaryWeightKernel`) has arguments of its own for its quantizer.

    Args:
        *args, **kwargs: Arguments of the Keras layer.
        kernel_quantizer: What stands for the quantizer of the kernel (`kerasq.quantizers.get`); `None` for a float kernel.
        bias_quantizer: The same for the bias.
        sum_quantizer: The same for what the activation function reads: a device stores that wherever the function takes a table.
        output_quantizer: The same for what the layer returns.
        seed: Integer seed of the draws of a stochastic quantizer; `None`: a different one each time.
    """

    kernel_parts: ClassVar[tuple[KernelPart, ...]] = (KERNEL,)
    activation_quantizers: ClassVar[tuple[str, ...]] = ("sum_quantizer", "output_quantizer")

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
        self.sum_quantizer: Any = activation_quantizer(sum_quantizer, "sum_quantizer")
        self.output_quantizer: Any = activation_quantizer(output_quantizer, "output_quantizer")
        self.seed = seed
        self.seed_generator: Any = None
        self.draw_for(self.kernel_quantizer, self.bias_quantizer, self.sum_quantizer, self.output_quantizer)

    def draw_for(self, *used: Quantizer | None) -> None:
        """Makes the generator of random numbers if one of these quantizers draws.

        In `__init__` rather than in `build`, so that Keras tracks its state under jit and saves it with the layer.
        """
        if self.seed_generator is None and any(quantizer is not None and quantizer.stochastic for quantizer in used):
            self.seed_generator = keras.random.SeedGenerator(self.seed)

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
        for part in self.kernel_parts:
            if (state := getattr(self, part.state)) is not None:
                state.create(self._latent(part).shape[-1], functools.partial(self._latent, part))
        if self.bias_state is not None and self.use_bias:
            self.bias_state.create(self.bias.shape[-1], lambda: ops.convert_to_tensor(self.bias))

    def reset_quantizers(self) -> None:
        """Sets what quantizers learn to what they begin with for the present kernel and bias: after `set_weights`, say."""
        for part in self.kernel_parts:
            if (state := getattr(self, part.state)) is not None:
                state.begin(self._latent(part))
        if self.bias_state is not None and self.use_bias:
            self.bias_state.begin(self.bias)

    def _latent(self, part: KernelPart) -> Any:
        """A kernel as its quantizer sees it."""
        return getattr(self, part.channels_last)(ops.convert_to_tensor(getattr(self, part.latent)))

    @classmethod
    def stands_for(cls, layer: Any) -> bool:
        """Whether this kind computes what a layer of its Keras kind does, with the arguments of that."""
        return True

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
        kernel = self.computed_kernel(KERNEL, training)
        outputs = self.linear(inputs, kernel)
        if self.use_bias:
            bias = ops.cast(self._quantize_bias(training), self.compute_dtype)
            if getattr(self, "data_format", None) == "channels_first":
                bias = ops.reshape(bias, (1, -1) + (1,) * (len(outputs.shape) - 2))
            outputs = ops.add(outputs, bias)
        outputs = self.quantize_activation(self.sum_quantizer, outputs, training)
        outputs = outputs if self.activation is None else self.activation(outputs)
        return self.quantize_activation(self.output_quantizer, outputs, training)

    def quantize_activation(self, quantizer: Quantizer | None, values: Any, training: bool | None) -> Any:
        """`values` as a quantizer of activations has them, if there is one."""
        if quantizer is None:
            return values
        return ops.cast(quantizer(values, training=training, seed=self.seed_generator), self.compute_dtype)

    @property
    def quantized_kernel(self) -> Any:
        """The kernel that inference computes with: a tensor of the shape and dtype of `kernel`. Deterministic."""
        return self.quantize_kernel(KERNEL)

    @property
    def quantized_bias(self) -> Any:
        """The bias that inference computes with; `None` without a bias."""
        return None if self.bias is None else self._quantize_bias(training=False)

    @property
    def kernel_format(self) -> QFormat:
        """The narrowest format that holds every possible `quantized_kernel` (SIGN: up to a factor per output channel)."""
        return constant_format(at_state(self.kernel_quantizer, self.kernel_state))

    @property
    def bias_format(self) -> QFormat | None:
        """The format of `quantized_bias`; `None` without a bias."""
        return constant_format(at_state(self.bias_quantizer, self.bias_state)) if self.use_bias else None

    def computed_kernel(self, part: KernelPart, training: bool | None) -> Any:
        """What one step computes with, in the dtype of the sums."""
        return ops.cast(self.quantize_kernel(part, training), self.compute_dtype)

    def quantize_kernel(self, part: KernelPart, training: bool | None = False) -> Any:
        """The quantized values of a kernel, in its shape and dtype; in inference they are always the same."""
        quantizer = getattr(self, part.quantizer)
        if quantizer is None:
            return ops.convert_to_tensor(getattr(self, part.latent))
        values = quantized(quantizer, getattr(self, part.state), self._latent(part), training, self.seed_generator)
        return getattr(self, part.as_kernel)(values)

    def _quantize_bias(self, training: bool | None) -> Any:
        bias = ops.convert_to_tensor(self.bias)
        if self.bias_quantizer is None:
            return bias
        return quantized(self.bias_quantizer, self.bias_state, bias, training, self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        activations = {name: getattr(self, name) for name in self.activation_quantizers}
        used = {name: keras.saving.serialize_keras_object(value) for name, value in activations.items() if value is not None}
        return {**super().get_config(), **self.quantizer_config(), **used}

    def quantizer_config(self) -> dict[str, Any]:
        """The part of the config that is not of the Keras layer. A family gives its own arguments instead."""
        names = [*(part.quantizer for part in self.kernel_parts), "bias_quantizer"]
        quantizer_objects = {name: getattr(self, name) for name in names}
        serialized = {name: keras.saving.serialize_keras_object(value) for name, value in quantizer_objects.items()}
        return {**serialized, "seed": self.seed}


def activation_quantizer(identifier: QuantizerLike, name: str) -> Any:
    """The quantizer of activations inside of a layer with a kernel, which has no place for what one learns.

    Raises:
        ValueError: It is no quantizer, or one that learns.
    """
    quantizer = quantizers.get(identifier, name)
    if isinstance(quantizer, StatefulQuantizer):
        raise ValueError(
            f"`{name}` must be a quantizer that learns nothing; kerasq.layers.Quantize, as a layer after this one, keeps "
            f"what a quantizer learns. Received: {name}={quantizer!r}"
        )
    return quantizer


def constant_format(quantizer: Quantizer | None) -> QFormat:
    return FLOAT32 if quantizer is None else quantizer.constant_spec()
