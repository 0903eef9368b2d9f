"""Every tensor of a file beside what the layers of the Keras model compute from the tensors that the file has before it."""

from __future__ import annotations

import keras
import numpy as np

import kerasq
from kerasq import format as kq
from kerasq.callbacks.recorder import calls, has_graph, history, replaced


def is_quantized(layer) -> bool:
    return (
        isinstance(layer, kerasq.FixedPointQuantize | kerasq.layers.Quantize)
        or getattr(layer, "output_quantizer", None) is not None
    )


def differences(model: keras.Model, content: bytes, x: list[np.ndarray]) -> dict[str, np.ndarray]:
    """By how many units of its last place each value of each activation differs, by the name of the tensor."""
    loaded = kq.loads(content)
    stored = kerasq.Interpreter(model_content=content, engine="reference").tensors(x if len(x) > 1 else x[0])
    formats = {tensor.name: tensor.format for tensor in loaded.tensors}
    values = {name: formats[name].dequantize(array) for name, array in stored.items()}
    units: dict[str, np.ndarray] = {}

    def compared(name, tensor):
        """What the file has of a tensor, if it has it; else what the layer computed."""
        if name not in values:
            return tensor
        array = keras.ops.convert_to_numpy(tensor)
        wanted = values[name].reshape(array.shape)
        units[name] = np.abs(array - wanted) / formats[name].step
        return keras.ops.convert_to_tensor(wanted)

    def called(operation, name, args, kwargs):
        if getattr(operation, "depthwise_output_quantizer", None) is not None:
            kernel = [tensor.name for tensor in loaded.tensors].index(f"{name}/kernel")  # the first one of the layer
            (halves,) = [operator.outputs[0] for operator in loaded.operators if kernel in operator.inputs]
            between = loaded.tensors[halves].name

            def quantized(layer, quantize, quantizer, sums, training):
                result = quantize(quantizer, sums, training)
                return compared(between, result) if quantizer is layer.depthwise_output_quantizer else result

            with replaced(operation, "quantize_activation", quantized):
                return activated(operation, name, args, kwargs)
        return activated(operation, name, args, kwargs)

    def activated(operation, name, args, kwargs):
        if getattr(operation, "sum_quantizer", None) is None:
            return operation(*args, **kwargs)
        with replaced(operation, "activation", lambda _, function, sums: function(compared(f"{name}/output:1", sums))):
            return operation(*args, **kwargs)

    def run(part, tensors, path):
        known = {id(symbolic): tensor for symbolic, tensor in zip(part.inputs, tensors, strict=True)}
        for call in calls(part):
            name = f"{path}{call.operation.name}"
            if has_graph(call.operation):
                results = run(call.operation, [known[id(source)] for source in call.inputs], f"{name}/")
            else:
                args, kwargs = call.arguments.fill_in(known)
                results = keras.tree.flatten(called(call.operation, name, args, kwargs))
                if is_quantized(call.operation):  # others' names may be those of a reshape before them
                    results[0] = compared(f"{name}/output", results[0])
            known |= {id(symbolic): tensor for symbolic, tensor in zip(call.outputs, results, strict=True)}
        return [known[id(tensor)] for tensor in part.outputs]

    names = [history(tensor).operation.name for tensor in model.inputs]
    for name, array in zip(names, x, strict=True):  # what a file stores of an input is what the input's quantizer gives
        np.testing.assert_array_equal(formats[name].dequantize(formats[name].quantize(array)), values[name].reshape(array.shape))
    run(model, [keras.ops.convert_to_tensor(array) for array in x], "")
    return units


def trained(model, x, steps=2):
    """After some steps: latent weights on no grid, statistics that moved."""
    rng = np.random.default_rng(5)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse", run_eagerly=True)
    targets = [rng.normal(size=(len(x[0]), *tensor.shape[1:])).astype(np.float32) for tensor in model.outputs]
    for _ in range(steps):
        model.train_on_batch(x if len(x) > 1 else x[0], targets if len(targets) > 1 else targets[0])
    return model


# Of all values, at most: the rounding of a multiplier to 16 bits moves few across a tie. A kernel's multipliers share a position,
# so that where random normalizations or factors differ ten times, the smallest of them have 11 bits, and twice as many move.
SHARE, OF_RANDOM_FACTORS = 0.001, 0.002


def assert_shipped(model, content, x, share=SHARE):
    """Equal, or one unit apart in at most that share of the values."""
    units = differences(model, content, x)
    total = sum(array.size for array in units.values())
    for name, array in units.items():
        assert array.max() <= 1, (name, array.max())
    assert sum(np.count_nonzero(array) for array in units.values()) <= max(1, share * total), {
        name: float(np.mean(array > 0)) for name, array in units.items() if array.any()
    }
    return units
