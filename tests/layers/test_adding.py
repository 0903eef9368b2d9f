"""ARCHITECTURE.md, "To add a quantizer" and "To add a kind of Keras layer": a new one needs what that says, and nothing else."""

import dataclasses

import keras
import numpy as np
import pytest

import kerasq
from kerasq.layers.base import QuantizedKernel
from kerasq.layers.signature import with_arguments_of
from kerasq.quantizers import Quantizer
from layers.kinds import KINDS, TENSORFLOW, batch, to_numpy


@keras.saving.register_keras_serializable("added")
@dataclasses.dataclass(frozen=True)
class Ternary(Quantizer):
    """-1, 0 or 1, for weights of one's own."""

    threshold: float = 0.5

    def quantize(self, x, training, seed):
        return keras.ops.where(keras.ops.abs(x) <= self.threshold, 0.0, keras.ops.sign(x))

    def outside(self, x):
        return keras.ops.abs(x) > 1.0

    def spec(self):
        return kerasq.QFormat.parse("FIXED4_0")


@keras.saving.register_keras_serializable("added")
class QuantizedConv2DTranspose(QuantizedKernel, keras.layers.Conv2DTranspose):
    """A kind of layer whose kernel has its output channels on the last axis but one."""

    @with_arguments_of(keras.layers.Conv2DTranspose, QuantizedKernel)
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def output_channels_last(self, kernel):
        return keras.ops.swapaxes(kernel, 2, 3)

    def as_kernel(self, values):
        return keras.ops.swapaxes(values, 2, 3)

    def linear(self, inputs, kernel):
        return keras.ops.conv_transpose(inputs, kernel, strides=list(self.strides), padding=self.padding)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_new_quantizer_is_taken_by_every_layer(kind):
    layer = kind.layer(**kind.arguments, kernel_quantizer="added>Ternary", bias_quantizer=Ternary(0.25))
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert (restored.kernel_quantizer, restored.bias_quantizer) == (Ternary(), Ternary(0.25))
    restored.build((None, *kind.shape))
    restored.kernel.assign(np.random.default_rng(0).normal(size=restored.kernel.shape))
    assert set(np.unique(to_numpy(restored.quantized_kernel))) == {-1.0, 0.0, 1.0}
    assert str(restored.kernel_format) == "FIXED4_0"
    assert np.ptp(to_numpy(restored(batch(kind)))) > 0


@pytest.mark.skipif(not TENSORFLOW, reason="conversion needs TensorFlow")
def test_a_new_kind_of_layer_takes_any_quantizer_and_is_converted():
    keras.utils.set_random_seed(0)
    layer = QuantizedConv2DTranspose(4, 3, kernel_quantizer="added>Ternary", name="up")
    model = keras.Sequential([keras.Input((4, 4, 3), name="map"), layer])
    layer.kernel.assign(np.random.default_rng(0).normal(size=layer.kernel.shape))
    reference = keras.layers.Conv2DTranspose(4, 3)
    maps = np.random.default_rng(1).normal(size=(16, 4, 4, 3)).astype(np.float32)
    reference.build(maps.shape)
    reference.set_weights([to_numpy(layer.quantized_kernel), to_numpy(layer.bias)])
    np.testing.assert_array_equal(to_numpy(model(maps)), to_numpy(reference(maps)))
    converter = kerasq.Converter(model)
    converter.representative_dataset = maps
    file = kerasq.format.loads(converter.convert())
    assert file.tensor("up/kernel").format.bits <= layer.kernel_format.bits
    outputs = kerasq.Interpreter(model_content=file).predict(maps)
    np.testing.assert_allclose(outputs, to_numpy(model(maps)), atol=0.05 * np.abs(outputs).max())
