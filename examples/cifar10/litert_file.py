"""LiteRT's int8 file of a Keras model, and networks without a training, for what examples compare with."""

import tempfile

import keras
import numpy as np
import tensorflow as tf


def untrained(model: keras.Model) -> keras.Model:
    """The model with statistics as if it had been trained: of about the size of what each batch normalization gets."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 1.5, layer.moving_variance.shape))
    return model


def int8_file(saved_model: str, examples: np.ndarray) -> bytes:
    """The .tflite file of a SavedModel: int8 throughout, inputs and outputs too, ranges from the examples."""
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter.representative_dataset = lambda: ([example[np.newaxis]] for example in examples)
    return converter.convert()


def int8_file_of(model: keras.Model, examples: np.ndarray) -> bytes:
    """The same of a model in memory."""
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        return int8_file(folder, examples)


def int8_outputs(content: bytes, examples: np.ndarray, batch: int = 100) -> np.ndarray:
    """What an int8 file of one input and one output computes of float examples, as floats."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    (scale, zero), (step, offset) = source["quantization"], result["quantization"]
    outputs = []
    for start in range(0, len(examples), batch):
        stored = np.clip(np.round(examples[start : start + batch] / scale) + zero, -128, 127).astype(np.int8)
        interpreter.resize_tensor_input(source["index"], stored.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source["index"], stored)
        interpreter.invoke()
        outputs.append((interpreter.get_tensor(result["index"]).astype(np.float32) - offset) * step)
    return np.concatenate(outputs)
