"""The calling pattern of tf.lite.Interpreter, and whole batches, in both engines."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import sys

import numpy as np
import pytest

import kerasq
from kerasq import format as file_format
from kerasq import ops
from kerasq.format.model import ABSENT, Model
from kerasq.qformat import QFormat
from networks import NetworkBuilder, random_resnet23, random_stored

SMALL = {"maps": 8, "size": 16}


def two_ends() -> Model:
    """Two inputs, a fixed and a float one; two outputs; the first is also read by the operator after it."""
    rng = np.random.default_rng(0)
    net = NetworkBuilder()
    a, b = net.activation("a", (1, 6), "FIXED8_4"), net.activation("b", (1, 3), "FLOAT32")
    kernel = net.constant("kernel", random_stored(rng, QFormat.parse("SIGN"), (3, 6)), "SIGN")
    first = net.apply("DENSE", (a, kernel, ABSENT, ABSENT), "FIXED8_2", "first")
    second = net.apply("ADD", (first, b), "FLOAT32", "second")
    return net.build((a, b), (first, second))


def images(count: int, size: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def test_the_calling_pattern_of_tf_lite(Interpreter, tmp_path):
    model = random_resnet23("SIGN", **SMALL)
    path = tmp_path / "model.kq"
    file_format.dump(model, path)
    x = images(1)
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert y.shape == (1, 10)
    assert y.dtype == np.int8
    for again in (Interpreter(model_content=path.read_bytes()), Interpreter(model_content=model), Interpreter(model_path=path)):
        np.testing.assert_array_equal(again.predict(x, raw=True), y)


def test_details(Interpreter):
    interpreter = Interpreter(model_content=two_ends())
    details = interpreter.get_tensor_details()
    assert [entry["name"] for entry in details] == ["a", "b", "kernel", "first", "second"]
    assert [entry["index"] for entry in details] == [0, 1, 2, 3, 4]
    first = details[3]
    assert first["shape"].tolist() == [1, 3]
    assert first["shape"].dtype == np.int32
    assert first["dtype"] is np.int8
    assert first["format"] == QFormat.parse("FIXED8_2")
    assert first["quantization"] == (0.25, 0)
    assert details[1]["dtype"] is np.float32
    assert details[1]["quantization"] == (0.0, 0)
    assert [entry["name"] for entry in interpreter.get_input_details()] == ["a", "b"]
    assert [entry["name"] for entry in interpreter.get_output_details()] == ["first", "second"]


def test_every_tensor_can_be_read_after_invoke(Interpreter):
    model = random_resnet23(**SMALL)
    x = images(1)
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    interpreter.set_tensor(model.inputs[0], x)
    interpreter.invoke()
    values = {model.inputs[0]: x}
    for operator in model.operators:
        operands = [values[index] for index in operator.inputs if index in values]
        values[operator.outputs[0]] = ops.prepare(model, operator)(*operands)
    for index, tensor in enumerate(model.tensors):
        expected = values[index] if tensor.data is None else tensor.data
        received = interpreter.get_tensor(index)
        np.testing.assert_array_equal(received, expected)
        assert received.dtype == tensor.format.dtype


def test_get_tensor_returns_a_copy_and_set_tensor_takes_one(Interpreter):
    interpreter = Interpreter(model_content=two_ends())
    interpreter.allocate_tensors()
    x = np.full((1, 6), 3, np.int8)
    interpreter.set_tensor(0, x)
    x[:] = 99
    assert interpreter.get_tensor(0).tolist() == [[3] * 6]
    interpreter.get_tensor(0)[:] = 99
    assert interpreter.get_tensor(0).tolist() == [[3] * 6]
    kernel = interpreter.get_tensor(2)
    kernel[:] = 0
    assert np.abs(interpreter.get_tensor(2)).min() == 1


def test_inputs_are_zero_until_they_are_set(Interpreter):
    interpreter = Interpreter(model_content=two_ends())
    interpreter.allocate_tensors()
    interpreter.invoke()
    assert interpreter.get_tensor(3).tolist() == [[0, 0, 0]]


def test_the_same_model_gives_the_same_outputs_every_time(Interpreter):
    x = images(3)
    first, second = (Interpreter(model_content=random_resnet23("SIGN", **SMALL)) for _ in range(2))
    runs = [interpreter.predict(x, raw=True) for interpreter in (first, first, first, second)]
    assert len(np.unique(runs[0])) > 3
    for run in runs[1:]:
        np.testing.assert_array_equal(run, runs[0])


@pytest.mark.parametrize("kernels", ["FIXED8", "SIGN"])
@pytest.mark.parametrize("buffers", ["FIXED8", "FIXED16"])
def test_predict_does_not_depend_on_batch_size_and_threads(Interpreter, kernels, buffers):
    model = random_resnet23(kernels, buffers, **SMALL)
    x = images(13)
    expected = np.concatenate(
        [Interpreter(model_content=model, num_threads=1).predict(x[i : i + 1], raw=True) for i in range(13)]
    )
    for threads in (1, 2, 5):
        interpreter = Interpreter(model_content=model, num_threads=threads)
        for size in (None, 1, 4, 13, 100):
            np.testing.assert_array_equal(interpreter.predict(x, batch_size=size, raw=True), expected)


def test_float_networks_are_close_for_every_batch_size(Interpreter):
    interpreter = Interpreter(model_content=random_resnet23(buffers="FLOAT32", **SMALL))
    x = images(7)
    np.testing.assert_allclose(interpreter.predict(x, batch_size=1), interpreter.predict(x), rtol=1e-4, atol=1e-4)


def test_predict_takes_values_and_stored_integers(Interpreter):
    model = two_ends()
    interpreter = Interpreter(model_content=model)
    stored = np.random.default_rng(1).integers(-128, 128, (4, 6)).astype(np.int8)
    b = np.random.default_rng(2).standard_normal((4, 3)).astype(np.float32)
    first, second = interpreter.predict([stored, b])
    again, _ = interpreter.predict((stored / 16, b.astype(np.float64)))
    raw, raw_second = interpreter.predict([stored, b], raw=True)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(raw * np.float32(0.25), first)
    np.testing.assert_array_equal(second, raw_second)
    np.testing.assert_array_equal(second, first + b)
    assert (first.dtype, raw.dtype, second.dtype) == (np.float32, np.int8, np.float32)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int16, np.uint8, np.float64, bool])
def test_all_types_but_the_stored_one_are_values(Interpreter, dtype):
    interpreter = Interpreter(model_content=two_ends())
    values = np.random.default_rng(4).integers(0, 7, (4, 6)).astype(dtype)
    ends = np.ones((4, 3), np.float32)
    found = interpreter.predict([values, ends], raw=True)
    expected = interpreter.predict([16 * values.astype(np.int8), ends], raw=True)  # FIXED8_4
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(interpreter.predict([values.tolist(), ends], raw=True)[0], expected[0])


def test_a_single_example_needs_no_batch_axis(Interpreter):
    interpreter = Interpreter(model_content=two_ends())
    a, b = np.random.default_rng(5).normal(size=(3, 6)), np.random.default_rng(6).normal(size=(3, 3))
    batch, single = interpreter.predict([a, b]), interpreter.predict([a[1], b[1]])
    for many, one in zip(batch, single, strict=True):
        np.testing.assert_array_equal(one, many[1])
    named = interpreter.predict({"b": b[1], "a": a[1]})
    np.testing.assert_array_equal(named[1], batch[1][1])


def named_ends() -> Model:
    """`two_ends` with names of their own, and the outputs as a dict, in another order than that of their keys."""
    return dataclasses.replace(two_ends(), input_names=("zeta", "alpha/x:0"), output_names=("z", "a"))


def test_names_of_inputs_and_keys_of_outputs(Interpreter):
    interpreter, plain = Interpreter(model_content=named_ends()), Interpreter(model_content=two_ends())
    assert [entry["name"] for entry in interpreter.get_input_details()] == ["zeta", "alpha/x:0"]
    assert [entry["name"] for entry in interpreter.get_output_details()] == ["z", "a"]
    assert [entry["name"] for entry in interpreter.get_tensor_details()] == ["a", "b", "kernel", "first", "second"]
    a, b = np.random.default_rng(5).normal(size=(3, 6)), np.random.default_rng(6).normal(size=(3, 3))
    expected = plain.predict([a, b])
    for x in ([a, b], (a, b), {"alpha/x:0": b, "zeta": a}, {"b": b, "a": a}, {"alpha": {"x:0": b}, "zeta": a}):
        found = interpreter.predict(x)
        assert list(found) == ["z", "a"]
        np.testing.assert_array_equal(found["z"], expected[0])
        np.testing.assert_array_equal(found["a"], expected[1])
    with pytest.raises(ValueError, match=r"inputs are 'zeta', 'alpha/x:0'\. Received: 'alpha', 'zeta'"):
        interpreter.predict({"alpha": b, "zeta": a})
    (details, _) = interpreter.get_output_details()
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.full((1, 6), 16, np.int8))
    interpreter.invoke()
    assert interpreter.get_tensor(details["index"]).shape == (1, 3)


def test_one_input_comes_as_an_array_or_as_a_list_or_dict_of_one(Interpreter):
    model = random_resnet23(**SMALL)
    interpreter, x = Interpreter(model_content=model), images(3)
    expected = interpreter.predict(x)
    for given in ([x], (x,), {"image": x}, list(x), x.tolist()):
        np.testing.assert_array_equal(interpreter.predict(given), expected)
    np.testing.assert_array_equal(interpreter.predict(x[2]), expected[2])
    with pytest.raises(ValueError, match=r"inputs are 'image'\. Received: 'picture'"):
        interpreter.predict({"picture": x})


def test_contents_in_any_memory_and_kernels_by_name(Interpreter):
    content = file_format.dumps(two_ends())
    for memory in (bytearray(content), memoryview(content), np.frombuffer(content, np.uint8)):
        assert Interpreter(model_content=memory).predict([A, B], raw=True)[0].shape == (2, 3)
    with pytest.raises(TypeError, match=r"`isa` must be one of.*Received: isa=3"):
        Interpreter(model_content=content, isa=3)


def test_functions_in_memory_can_not_be_pickled_but_copied():
    net = NetworkBuilder()
    x = net.activation("x", (1, 3), "FLOAT32")
    y = net.apply("LOOKUP", (x, ABSENT), "FLOAT32", function=np.tanh)
    interpreter = kerasq.Interpreter(model_content=net.build((x,), (y,)), engine="reference")
    with pytest.raises(TypeError, match=r"what is in memory only.*can't be pickled"):
        pickle.dumps(interpreter)
    np.testing.assert_array_equal(copy.deepcopy(interpreter).predict([1.0, 2.0, 3.0]), np.tanh(np.float32([1, 2, 3])))


@pytest.mark.parametrize("twin_of", [copy.copy, copy.deepcopy, lambda i: pickle.loads(pickle.dumps(i))])
def test_copies_and_pickles_go_their_own_way(Interpreter, twin_of):
    interpreter = Interpreter(model_content=named_ends(), num_threads=3)
    a, b = np.random.default_rng(5).normal(size=(3, 6)), np.random.default_rng(6).normal(size=(3, 3))
    fresh = twin_of(interpreter)
    np.testing.assert_array_equal(fresh.predict([a, b])["z"], interpreter.predict([a, b])["z"])
    assert fresh.engine == interpreter.engine
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, np.full((1, 6), 16, np.int8))
    interpreter.invoke()
    twin = twin_of(interpreter)
    np.testing.assert_array_equal(twin.get_tensor(3), interpreter.get_tensor(3))
    twin.set_tensor(0, np.full((1, 6), -16, np.int8))
    twin.invoke()
    np.testing.assert_array_equal(twin.get_tensor(3), -interpreter.get_tensor(3))
    assert interpreter.get_tensor(0).tolist() == [[16] * 6]


class Named(kerasq.Interpreter):
    """A user's subclass, with a constructor and values of its own."""

    def __init__(self, name, *, labels):
        super().__init__(model_content=named_ends(), engine="reference")
        self.name, self.labels = name, labels


@pytest.mark.parametrize("twin_of", [copy.copy, copy.deepcopy, lambda i: pickle.loads(pickle.dumps(i))])
def test_a_subclass_keeps_what_is_its_own(twin_of):
    interpreter = Named("faces", labels=["a", "b"])
    twin = twin_of(interpreter)
    assert (type(twin), twin.name, twin.labels) == (Named, "faces", ["a", "b"])
    assert (twin.labels is interpreter.labels) == (twin_of is copy.copy)
    x = [np.ones((2, 6)), np.ones((2, 3))]
    np.testing.assert_array_equal(twin.predict(x)["z"], interpreter.predict(x)["z"])


def test_observing_takes_a_function(Interpreter):
    with pytest.raises(TypeError, match=r"`callback` must be a function.*Received: 5"):
        Interpreter(model_content=named_ends()).observe([np.ones((2, 6)), np.ones((2, 3))], 5)


def test_predict_quantizes_as_section_2_says(Interpreter):
    net = NetworkBuilder()
    x = net.activation("x", (1, 5), "FIXED8_0")
    y = net.apply("QUANTIZE", (x,), "FIXED8_0")
    interpreter = Interpreter(model_content=net.build((x,), (y,)))
    assert interpreter.predict(np.array([[0.5, -0.5, -1.5, 1e9, np.nan]])).tolist() == [[1, 0, -1, 127, 0]]


def test_pixels_are_the_same_as_values_and_as_stored_integers(Interpreter):
    interpreter = Interpreter(model_content=random_resnet23(**SMALL))
    x = images(3)
    np.testing.assert_array_equal(interpreter.predict(x), interpreter.predict(x.astype(np.float32)))


def test_float_inputs_take_integers_as_values(Interpreter):
    net = NetworkBuilder()
    x = net.activation("x", (1, 3), "FLOAT32")
    y = net.apply("QUANTIZE", (x,), "FIXED8_1")
    interpreter = Interpreter(model_content=net.build((x,), (y,)))
    assert interpreter.predict(np.array([[1, 2, 3]])).tolist() == [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_any_number_of_examples(Interpreter, count):
    interpreter = Interpreter(model_content=random_resnet23(**SMALL))
    assert interpreter.predict(images(count)).shape == (count, 10)


def test_tensors_and_observe(Interpreter):
    model = random_resnet23("SIGN", **SMALL)
    interpreter = Interpreter(model_content=model)
    x = images(5)
    tensors = interpreter.tensors(x)
    assert list(tensors) == ["image", *(model.output(operator).name for operator in model.operators)]
    np.testing.assert_array_equal(tensors["image"], x)
    np.testing.assert_array_equal(tensors["affine/output"], interpreter.predict(x, raw=True))
    seen: dict[str, list[np.ndarray]] = {}
    interpreter.observe(x, lambda name, stored: seen.setdefault(name, []).append(stored), batch_size=2)
    assert list(seen) == list(tensors)
    for name, pieces in seen.items():
        assert [len(piece) for piece in pieces] == [2, 2, 1]
        np.testing.assert_array_equal(np.concatenate(pieces), tensors[name])
        assert pieces[0].dtype == model.tensor(name).format.dtype


def test_an_output_of_the_network_may_be_its_input(Interpreter):
    net = NetworkBuilder()
    x = net.activation("x", (1, 4), "FIXED8_0")
    y = net.apply("RESHAPE", (x,), "FIXED8_0", shape=(1, 2, 2))
    interpreter = Interpreter(model_content=net.build((x,), (x, y)))
    values = np.arange(8, dtype=np.int8).reshape(2, 4)
    same, reshaped = interpreter.predict(values, raw=True)
    np.testing.assert_array_equal(same, values)
    np.testing.assert_array_equal(reshaped, values.reshape(2, 2, 2))
    same[:] = 0
    assert values.max() == 7


def test_progress_is_drawn_on_a_terminal_only(Interpreter, monkeypatch, capsys):
    interpreter = Interpreter(model_content=random_resnet23(**SMALL))
    interpreter.predict(images(4), verbose=1)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    interpreter.predict(images(4), verbose=1)
    assert "4/4 examples" in capsys.readouterr().err
    interpreter.predict(images(4))
    assert capsys.readouterr().err == ""


def allocated(Interpreter) -> kerasq.Interpreter:
    interpreter = Interpreter(model_content=two_ends())
    interpreter.allocate_tensors()
    return interpreter


A, B = np.zeros((2, 6), np.int8), np.zeros((2, 3), np.float32)

ERRORS = [
    (
        lambda i: i.set_tensor(0, np.zeros((1, 6), np.float32)),
        ValueError,
        r"'a' \(FIXED8_4\) must have dtype=int8.*dtype=float32",
    ),
    (lambda i: i.set_tensor(0, np.zeros((2, 6), np.int8)), ValueError, r"shape=\(1, 6\).*Received.*shape=\(2, 6\)"),
    (lambda i: i.set_tensor(3, np.zeros((1, 3), np.int8)), ValueError, "Only inputs of the network.*'first'"),
    (lambda i: i.set_tensor(2, np.ones((3, 6), np.int8)), ValueError, "Only inputs of the network.*'kernel'"),
    (lambda i: i.set_tensor(9, np.zeros((1, 3), np.int8)), ValueError, "Tensors are 0 to 4. Received: tensor_index=9"),
    (lambda i: i.set_tensor("x", np.zeros((1, 3), np.int8)), ValueError, "Tensors are 0 to 4. Received: tensor_index='x'"),
    (lambda i: i.get_tensor(-1), ValueError, "Tensors are 0 to 4. Received: tensor_index=-1"),
    (lambda i: i.get_tensor(3), RuntimeError, r"'first' has no value yet: call invoke\(\)"),
    (lambda i: i.predict(A), ValueError, r"2 inputs \('a', 'b'\).*Received: ndarray"),
    (lambda i: i.predict([A]), ValueError, "Received: 1 arrays"),
    (lambda i: i.predict([A, B[:1]]), ValueError, r"same batch size. Received: \[2, 1\]"),
    (lambda i: i.predict([A[:, :5], B]), ValueError, r"'a' must have shape \(batch, 6\). Received: shape=\(2, 5\)"),
    (lambda i: i.predict([A[0], B]), ValueError, r"some inputs are batches and some.* Received: \(6,\), \(2, 3\)"),
    (lambda i: i.predict({"a": A}), ValueError, "inputs are 'a', 'b'. Received: 'a'"),
    (lambda i: i.predict({"a": A, "b": B, "c": B}), ValueError, "inputs are 'a', 'b'. Received: 'a', 'b', 'c'"),
    (lambda i: i.predict(None), ValueError, r"2 inputs \('a', 'b'\).*Received: NoneType"),
    (lambda i: i.predict([A, None]), TypeError, "'b' must be an array of real numbers. Received: NoneType"),
    (lambda i: i.predict([A, "b.npy"]), TypeError, "'b' must be an array of real numbers. Received: str"),
    (lambda i: i.predict([A, [[1], [2, 3]]]), TypeError, "'b' must be an array of numbers. Received: list"),
    (lambda i: i.predict([A, B.astype(complex)]), TypeError, "'b' must be an array of real.*complex128"),
    (lambda i: i.predict([A, B.astype(str)]), TypeError, "'b' must be an array of real.*Received: dtype=<U"),
    (lambda i: i.set_tensor(0, [["x"] * 6]), TypeError, "'a' must be an array of real numbers. Received: list"),
    (lambda i: i.set_tensor(True, A[:1]), ValueError, "Tensors are 0 to 4. Received: tensor_index=True"),
    (lambda i: i.predict([A, B], batch_size=0), ValueError, "`batch_size` must be at least 1. Received: batch_size=0"),
    (lambda i: i.predict([A, B], batch_size="2"), TypeError, "`batch_size` must be a positive integer.*batch_size='2'"),
    (lambda i: i.predict([A, B], batch_size=2.5), TypeError, "`batch_size` must be a positive integer.*batch_size=2.5"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors_name_what_was_expected_and_received(Interpreter, call, error, message):
    with pytest.raises(error, match=message):
        call(allocated(Interpreter))


def test_tensors_need_not_be_allocated(Interpreter):
    interpreter, allocated = (Interpreter(model_content=two_ends()) for _ in range(2))
    allocated.allocate_tensors()
    interpreter.invoke()
    allocated.invoke()
    for index in (0, 1, 3, 4):
        np.testing.assert_array_equal(interpreter.get_tensor(index), allocated.get_tensor(index))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "either `model_path` or `model_content`"),
        ({"model_path": "x.kq", "model_content": b""}, ValueError, "either `model_path` or `model_content`"),
        ({"model_path": "no such file.kq"}, FileNotFoundError, "no such file"),
        ({"model_content": b"not a model"}, file_format.ModelError, "KRSQ"),
        ({"model_content": two_ends(), "num_threads": 0}, ValueError, "`num_threads` must be at least 1"),
        ({"model_content": two_ends(), "num_threads": "2"}, TypeError, "`num_threads` must be a positive integer"),
        ({"model_content": "model.kq"}, TypeError, "`model_content` must be the bytes.*a path is `model_path`"),
        ({"model_path": b"KRSQ"}, TypeError, "`model_path` must be a path; the bytes.*Received: .*bytes"),
        ({"model_path": 3}, TypeError, "`model_path` must be a path.*Received: .*int"),
        ({"model_content": [1, 2]}, TypeError, "`model_content` must be the bytes.*Received: list"),
    ],
)
def test_what_can_not_be_constructed(Interpreter, arguments, error, message):
    with pytest.raises(error, match=message):
        Interpreter(**arguments)


def test_an_input_may_be_set_again_before_the_tensors_of_the_last_run_are_read(Interpreter):
    interpreter = allocated(Interpreter)
    interpreter.set_tensor(0, np.full((1, 6), 16, np.int8))
    interpreter.invoke()
    first = interpreter.get_tensor(3)
    interpreter.set_tensor(0, np.full((1, 6), -16, np.int8))
    np.testing.assert_array_equal(interpreter.get_tensor(3), first)
    np.testing.assert_array_equal(interpreter.get_tensor(4), first * np.float32(0.25))
    assert interpreter.get_tensor(0).tolist() == [[-16] * 6]
    interpreter.invoke()
    assert interpreter.get_tensor(3).tolist() == (-first).tolist()
    assert first.any()


def test_outputs_of_a_run_do_not_change_with_the_next_one(Interpreter):
    interpreter = Interpreter(model_content=random_resnet23(**SMALL))
    first, x = interpreter.predict(images(1)), images(1, seed=1)
    kept = first.copy()
    assert (interpreter.predict(x) != first).any()
    np.testing.assert_array_equal(first, kept)


def test_a_model_that_breaks_a_rule_is_refused(Interpreter):
    model = two_ends()
    broken = Model(model.tensors, (model.operators[0].replace(accumulator_bits=0),), model.inputs, (3,), model.arena_bytes)
    with pytest.raises(file_format.ModelError, match="accumulator_bits must be 32 or 64"):
        Interpreter(model_content=broken)


@pytest.mark.skipif(not kerasq.runtime.available(), reason="the native engine is not installed")
def test_profile():
    model = random_resnet23("SIGN", **SMALL)
    interpreter = kerasq.Interpreter(model_content=model, engine="native")
    interpreter.set_tensor(model.inputs[0], images(1))
    table = interpreter.profile(runs=7)
    assert [entry["output"] for entry in table] == [model.output(operator).name for operator in model.operators]
    assert [entry["kind"] for entry in table] == [operator.kind for operator in model.operators]
    assert sum(entry["share"] for entry in table) == pytest.approx(1)
    for entry in table:
        assert entry["kernel"].startswith("kq_")
        assert len(entry["samples"]) == 7
        assert 0 < min(entry["samples"]) <= entry["quartiles"][0] <= entry["seconds"] <= entry["quartiles"][1]
    interpreter.invoke()  # no run of the profile is one of the interpreter's
    np.testing.assert_array_equal(
        interpreter.get_tensor(model.outputs[0]), kerasq.Interpreter(model_content=model).predict(images(1), raw=True)
    )
    for wrong, error in ((0, ValueError), (None, ValueError), (2.5, TypeError)):
        with pytest.raises(error, match="runs"):
            interpreter.profile(runs=wrong)


def test_the_reference_has_no_profile():
    interpreter = kerasq.Interpreter(model_content=two_ends(), engine="reference")
    with pytest.raises(RuntimeError, match="native engine"):
        interpreter.profile()
