"""Code that was written for tf.lite.Interpreter runs with another import."""

from __future__ import annotations

import copy
import functools
import pickle

import numpy as np
import pytest

from kerasq.format import dumps
from kerasq.qformat import QFormat
from networks import NetworkBuilder, random_resnet23, random_stored

SMALL = {"maps": 8, "size": 16}


@functools.cache
def model():
    return random_resnet23("SIGN", **SMALL)


def two_inputs():
    net = NetworkBuilder()
    a, b = net.activation("a", (1, 4), "FIXED8_4"), net.activation("b", (1, 4), "FIXED8_5")
    kernel = net.constant("kernel", random_stored(np.random.default_rng(0), QFormat.parse("SIGN"), (4, 4)), "SIGN")
    between = net.apply("ADD", (a, b), "FIXED8_4", "between")
    return net.build((a, b), (net.apply("DENSE", (between, kernel, -1, -1), "FIXED8_2", "sum"),))


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3)).astype(np.uint8)


def expected(Interpreter, x: np.ndarray) -> np.ndarray:
    return Interpreter(model_content=model()).predict(x, raw=True)


def test_an_image_quantized_by_its_details(Interpreter, tmp_path):
    """As the guide's code classifies an image with an integer network."""
    path = tmp_path / "model.kq"
    path.write_bytes(dumps(model()))
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    input_details = interpreter.get_input_details()[0]
    output_details = interpreter.get_output_details()[0]
    (image,) = images(1).astype(np.float32)
    if input_details["dtype"] != np.float32:
        scale, zero_point = input_details["quantization"]
        image = image / scale + zero_point
    image = np.expand_dims(image, axis=0).astype(input_details["dtype"])
    interpreter.set_tensor(input_details["index"], image)
    interpreter.invoke()
    output = interpreter.get_tensor(output_details["index"])[0]
    np.testing.assert_array_equal(output, expected(Interpreter, images(1))[0])
    parameters = output_details["quantization_parameters"]
    values = parameters["scales"] * (output.astype(np.float32) - parameters["zero_points"])
    np.testing.assert_array_equal(values, Interpreter(model_content=model()).predict(images(1))[0])
    assert parameters["quantized_dimension"] == 0


def test_the_signature_runner(Interpreter):
    interpreter = Interpreter(model_content=model())
    ((name, ends),) = interpreter.get_signature_list().items()
    assert (name, ends["inputs"]) == ("serving_default", ["image"])
    (output,) = ends["outputs"]
    for runner in (interpreter.get_signature_runner(), interpreter.get_signature_runner("serving_default")):
        assert runner.get_input_details()["image"]["dtype"] == np.uint8
        for count in (1, 5, 2):  # the batch size follows
            x = images(count)
            np.testing.assert_array_equal(runner(image=x)[output], expected(Interpreter, x))
        as_values = runner(image=images(3).astype(np.float32))[output]
        np.testing.assert_array_equal(as_values, Interpreter(model_content=model()).predict(images(3)))
        assert as_values.dtype == np.float32
    assert list(runner.get_output_details()) == [output]
    with pytest.raises(ValueError, match=r"only signature is 'serving_default'. Received: signature_key='train'"):
        interpreter.get_signature_runner("train")
    for wrong in ({}, {"picture": images(1)}, {"image": images(1), "more": images(1)}):
        with pytest.raises(ValueError, match=r"inputs are 'image'\. Received: "):
            runner(**wrong)
    with pytest.raises(ValueError, match=r"must have shape \(batch, 16, 16, 3\). Received: shape=\(1, 8, 8, 3\)"):
        runner(image=images(1)[:, :8, :8])


def test_the_signature_runner_of_several_inputs(Interpreter):
    interpreter, runner = Interpreter(model_content=two_inputs()), Interpreter(model_content=two_inputs()).get_signature_runner()
    a, b = np.random.default_rng(1).normal(size=(2, 3, 4))
    np.testing.assert_array_equal(runner(b=b, a=a)["sum"], interpreter.predict([a, b]))
    with pytest.raises(ValueError, match=r"same batch size\. Received: \[3, 2\]"):
        runner(a=a, b=b[:2])


@pytest.mark.parametrize("threads", [1, 2])
def test_resized_inputs(Interpreter, threads):
    interpreter, x = Interpreter(model_content=model(), num_threads=threads), images(7)
    details = interpreter.get_input_details()[0]
    assert details["shape"].tolist() == [1, 16, 16, 3]
    assert details["shape_signature"].tolist() == [-1, 16, 16, 3]
    interpreter.resize_tensor_input(details["index"], [7, 16, 16, 3], strict=True)
    interpreter.allocate_tensors()
    assert interpreter.get_input_details()[0]["shape"].tolist() == [7, 16, 16, 3]
    assert interpreter.get_output_details()[0]["shape"].tolist() == [7, 10]
    constants = [entry for entry in interpreter.get_tensor_details() if model().tensors[entry["index"]].is_constant]
    assert all(entry["shape"].tolist() == entry["shape_signature"].tolist() for entry in constants)
    interpreter.set_tensor(details["index"], x)
    interpreter.invoke()
    output = interpreter.get_output_details()[0]["index"]
    np.testing.assert_array_equal(interpreter.get_tensor(output), expected(Interpreter, x))
    every = Interpreter(model_content=model()).tensors(x)
    for index, tensor in enumerate(model().tensors):
        if not tensor.is_constant:
            np.testing.assert_array_equal(interpreter.get_tensor(index), every[tensor.name])
    twins = [copy.copy(interpreter), copy.deepcopy(interpreter), pickle.loads(pickle.dumps(interpreter))]
    interpreter.resize_tensor_input(details["index"], (2, 16, 16, 3))
    interpreter.set_tensor(details["index"], x[:2])
    interpreter.invoke()
    assert interpreter.get_tensor(output).shape == (2, 10)
    for twin in twins:
        np.testing.assert_array_equal(twin.get_tensor(output), expected(Interpreter, x))
        twin.invoke()
        np.testing.assert_array_equal(twin.get_tensor(output), expected(Interpreter, x))


@pytest.mark.parametrize("size", [(1, 16, 16, 4), (0, 16, 16, 3), (16, 16, 3), (-1, 16, 16, 3)])
def test_only_the_batch_axis_is_resized(Interpreter, size):
    interpreter = Interpreter(model_content=model())
    with pytest.raises(ValueError, match=r"Input 'image' must have shape \(examples, 16, 16, 3\)\. Received: tensor_size="):
        interpreter.resize_tensor_input(0, size)
    with pytest.raises(ValueError, match="Only inputs of the network can be resized"):
        interpreter.resize_tensor_input(model().outputs[0], (2, 10))


@pytest.mark.parametrize("batch", [1, 3])
def test_tensors_in_place(Interpreter, batch):
    interpreter, x = Interpreter(model_content=model()), images(batch)
    entry, output = model().inputs[0], model().outputs[0]
    interpreter.resize_tensor_input(entry, x.shape)
    put, get = interpreter.tensor(entry), interpreter.tensor(output)
    with pytest.raises(RuntimeError, match="has no value yet"):
        get()
    put()[:] = x
    interpreter.invoke()
    np.testing.assert_array_equal(get(), expected(Interpreter, x))
    within = next(i for i, tensor in enumerate(model().tensors) if not tensor.is_constant and i not in (entry, output))
    put()[:] = 0  # the last run's tensors stay what they were
    np.testing.assert_array_equal(
        interpreter.get_tensor(within), Interpreter(model_content=model()).tensors(x)[model().tensors[within].name]
    )
    twin = copy.copy(interpreter)
    held = put()
    interpreter.set_tensor(entry, x)
    np.testing.assert_array_equal(held, x)
    assert not twin.get_tensor(entry).any()
    constant = next(i for i, tensor in enumerate(model().tensors) if tensor.is_constant)
    with pytest.raises(ValueError, match="read-only"):
        interpreter.tensor(constant)()[...] = 0
    with pytest.raises(ValueError, match="Tensors are 0 to"):
        interpreter.tensor(1000)


@pytest.mark.parametrize("preserve", [False, True])
def test_every_tensor_is_there_after_a_run(Interpreter, preserve):
    interpreter = Interpreter(model_content=model(), experimental_preserve_all_tensors=preserve)
    interpreter.set_tensor(model().inputs[0], images(1))
    interpreter.invoke()
    every = Interpreter(model_content=model()).tensors(images(1))
    for entry in interpreter.get_tensor_details():
        if entry["name"] in every:
            np.testing.assert_array_equal(interpreter.get_tensor(entry["index"]), every[entry["name"]])
    assert pickle.loads(pickle.dumps(interpreter)).get_tensor(model().outputs[0]).any()
