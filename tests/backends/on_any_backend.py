"""On the backend that KERAS_BACKEND names: layers, quantizers, recipes and callbacks train, save, load and continue.

On all but TensorFlow's, TensorFlow can't be imported.
"""

import os
import pathlib
import sys

if os.environ["KERAS_BACKEND"] != "tensorflow":
    sys.modules["tensorflow"] = None  # as if it were not installed
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import keras
import numpy as np

import kerasq
from kerasq import callbacks, quantizers
from kerasq_convert.quantization.recipes import RECIPES
from layers.kinds import KINDS, NAMED, to_numpy
from quantizers.all_quantizers import CLASSES, OF_KERNELS

L = keras.layers
BACKEND = keras.backend.backend()
COUNT = 16


def every_layer():
    """All kinds of layers and all quantizers in one model, and inputs for it, some of them beyond any range."""
    inputs, outputs = [], []

    def add(layer, shape):
        inputs.append(keras.Input(shape, name=f"in{len(inputs)}"))
        outputs.append(L.Dense(2, name=f"out{len(outputs)}")(L.Flatten()(layer(inputs[-1]))))

    for number in range(max(len(KINDS), len(OF_KERNELS))):
        kind, quantizer = KINDS[number % len(KINDS)], OF_KERNELS[number % len(OF_KERNELS)]
        add(kind.layer(**kind.arguments, **{part.quantizer: quantizer() for part in kind.layer.kernel_parts}), kind.shape)
    for case in NAMED:
        add(case.make(), case.kind.shape)
    for quantizer in CLASSES:
        is_scaled = quantizer.alpha is not quantizers.Quantizer.alpha  # by channel: no layer of activations takes it
        if not is_scaled and (quantizer not in OF_KERNELS or issubclass(quantizer, quantizers.StatefulQuantizer)):
            add(kerasq.layers.Quantize(quantizer()), (5,))
    add(kerasq.FixedPointQuantize(8, 4), (5,))
    x = {tensor.name: 8 * batch_of(tensor.shape[1:], seed) for seed, tensor in enumerate(inputs)}
    return keras.Model({tensor.name: tensor for tensor in inputs}, outputs), x


def batch_of(shape, seed):
    return np.random.default_rng(seed).normal(size=(COUNT, *shape)).astype("float32")


def compiled(model):
    # TensorFlow runs these few steps sooner than it traces them, JAX compiles sooner than it runs them.
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=BACKEND == "tensorflow", jit_compile=BACKEND == "jax")
    return model


def trains_saves_loads_and_continues(model, x, y, name, used):
    before = [to_numpy(variable) for variable in model.trainable_variables]
    history = compiled(model).fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=used).history
    assert np.all(np.isfinite(history["loss"])), history
    after = [to_numpy(variable) for variable in model.trainable_variables]
    names = [variable.path for variable in model.trainable_variables]
    assert [name for name, old, new in zip(names, before, after, strict=True) if np.all(old == new)] == []
    model.save(f"{name}.keras")
    loaded = keras.models.load_model(f"{name}.keras")
    keras.tree.map_structure(np.testing.assert_array_equal, *(network.predict(x, verbose=0) for network in (loaded, model)))
    loaded.run_eagerly = model.run_eagerly
    loaded.fit(x, y, batch_size=8, verbose=0)
    assert all(np.any(to_numpy(old) != new) for old, new in zip(loaded.trainable_variables, after, strict=True))
    return loaded, history


def small():
    inputs = keras.Input((8, 8, 3), name="image")
    x = L.BatchNormalization()(L.Conv2D(4, 3, padding="same", use_bias=False)(inputs))
    x = L.ReLU()(L.Add()([L.Conv2D(4, 3, padding="same", activation="swish")(x), L.ReLU()(x)]))
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(L.DepthwiseConv2D(3)(x))))


def every_callback(x):
    """By their names, so that a new one is among them."""
    arguments = {
        "ActivationStatistics": ("statistics", x),
        "FoldBatchNorm": (1,),
        "ReestimateBatchNorm": (x,),
    }
    return [getattr(callbacks, name)(*arguments.get(name, ())) for name in callbacks.__all__]


def recipes(x, y):
    model = small()
    for recipe in RECIPES:
        quantized = kerasq.quantize_model(model, x, recipe)
        used = every_callback(x) if recipe == "binary_weight" else [callbacks.FlipRatios(), callbacks.FoldBatchNorm(1)]
        loaded, history = trains_saves_loads_and_continues(quantized, x, y, recipe, used)
        assert len(history["flip_ratio"]) == 2
        assert [layer.name for layer in kerasq.strip(loaded).layers] == [layer.name for layer in model.layers]
        assert kerasq.training.harden(loaded) == 4
    assert any(pathlib.Path("statistics").iterdir())


def summary(x):
    """Of a model and of its file; with arena and size of the .kq file where there can be one."""
    kerasq.quantize_model(small(), x, "ternary").save("summary.keras")
    summaries = [kerasq.summary(source) for source in ("summary.keras", keras.models.load_model("summary.keras"))]
    assert summaries[0] == summaries[1]
    kernels = [layer.precision.split(" x ")[1] for layer in summaries[0].layers if layer.kernel]
    assert kernels == ["FIXED8", "FIXED2", "FIXED8", "FIXED8"]
    assert (summaries[0].arena_bytes is None) == (BACKEND != "tensorflow")


def mixed_precision(x, y):
    for policy in ("mixed_float16", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        trains_saves_loads_and_continues(kerasq.quantize_model(small(), x, "binary_weight"), x, y, policy, [])
    keras.config.set_dtype_policy("float32")


def distilled(x, y):
    teacher = small()
    student = kerasq.quantize_model(teacher, x, "ternary")
    hints = [layer.name for layer in teacher.layers if isinstance(layer, L.ReLU)]
    model = kerasq.training.Distilled(student, teacher, temperature=None, hints=hints)
    trains_saves_loads_and_continues(model, x, y, "distilled", [])
    assert np.isfinite(model.evaluate(x, y, verbose=0))


def several_devices(x, y):
    """Two devices of the host train one model, with quantizers that learn and that follow, as one device does."""
    rules = {"*": quantizers.LearnedFixedPoint(), "last": quantizers.FollowingFixedPoint(), "first": "ternary"}
    model = small()
    weights = model.get_weights()

    def trained():
        quantized = kerasq.quantize_model(model, x, rules)
        quantized.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=BACKEND == "jax")
        losses = quantized.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]
        return quantized, losses

    _, alone = trained()
    if BACKEND == "tensorflow":
        import tensorflow as tf

        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        assert strategy.num_replicas_in_sync == 2
        with strategy.scope():
            model = small()
            model.set_weights(weights)
            quantized, losses = trained()
    else:
        devices = keras.distribution.list_devices()
        assert len(devices) == 2
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
        quantized, losses = trained()
        assert len(quantized.trainable_variables[0].value.sharding.device_set) == 2
    np.testing.assert_allclose(losses, alone, rtol=0.05)  # batch normalization sees half a batch on each of TensorFlow's
    quantized.save("several.keras")
    loaded = keras.models.load_model("several.keras")
    keras.tree.map_structure(np.testing.assert_array_equal, loaded.get_weights(), quantized.get_weights())
    if BACKEND == "jax":
        keras.distribution.set_distribution(None)


def main() -> None:
    if BACKEND == "tensorflow":
        import tensorflow as tf

        (processor,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    keras.utils.set_random_seed(1)
    x, y = batch_of((8, 8, 3), 1), batch_of((3,), 2)
    recipes(x, y)
    summary(x)
    mixed_precision(x, y)
    distilled(x, y)
    if BACKEND != "torch":  # Keras has no distribution there
        several_devices(x, y)
    model, inputs = every_layer()
    y = [np.random.default_rng(9).normal(size=(COUNT, 2)).astype("float32")] * len(model.outputs)
    trains_saves_loads_and_continues(model, inputs, y, "every_layer", [])
    print("done")


if __name__ == "__main__":
    main()
