"""Order and names of inputs and outputs, whichever way a model comes in."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasq
from converters.zoo import FLOAT, L
from kerasq_convert import ConversionError, Converter

X = np.random.default_rng(3).normal(size=(2, 5, 4)).astype(np.float32)


def two(*names):
    return [keras.Input((4,), name=name) for name in names]


def nested():
    zeta, alpha = two("zeta", "alpha")
    return keras.Model([zeta, {"q": alpha}], L.Subtract()([zeta, alpha]))


def listed(*names):
    inputs = two(*names)
    return keras.Model(inputs, [L.Subtract()(inputs), L.Add()(inputs)])


def keyed():
    zeta, alpha = two("zeta", "alpha")
    return keras.Model({"zeta": zeta, "alpha": alpha}, {"y": L.Subtract()([zeta, alpha]), "b": L.Add()([zeta, alpha])})


def other_keys():
    zeta, alpha = two("zeta", "alpha")
    with pytest.warns(UserWarning, match="must match the names"):
        return keras.Model({"k2": zeta, "k1": alpha}, L.Subtract()([zeta, alpha]))


def one_key():
    (image,) = two("image")
    return keras.Model(image, {"scores": L.Dense(3)(image)})


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, keys, **options):
        super().__init__(**options)
        self.keys, self.first, self.second = keys, L.Dense(3), L.Dense(3)

    def call(self, x):
        zeta, alpha = (x[key] for key in self.keys)
        outputs = self.first(zeta) - self.second(alpha), self.second(alpha)
        return outputs if isinstance(x, list) else {"difference": outputs[0], "alone": outputs[1]}


def subclassed(keys):
    model = Subclassed(keys)
    model(dict(zip(keys, X, strict=True)) if isinstance(keys[0], str) else list(X))
    return model


MODELS = {
    "list": (lambda: listed("zeta", "alpha"), list(X), ["zeta", "alpha"]),
    "dict": (keyed, {"zeta": X[0], "alpha": X[1]}, ["alpha", "zeta"]),
    "keys that are no names": (other_keys, {"k2": X[0], "k1": X[1]}, ["k1", "k2"]),
    "nested": (nested, [X[0], {"q": X[1]}], ["zeta", "alpha"]),
    "dict of one output": (one_key, X[0], ["image"]),
    "subclassed, dict": (lambda: subclassed(["zz", "aa"]), {"zz": X[0], "aa": X[1]}, ["aa", "zz"]),
    "subclassed, list": (lambda: subclassed([0, 1]), list(X), None),
}


def assert_equal(found, wanted):
    if isinstance(wanted, dict):
        assert set(found) == set(wanted)
        found, wanted = [found[key] for key in wanted], list(wanted.values())
    assert isinstance(found, list) == isinstance(wanted, (list, tuple))
    for one, other in zip(kerasq.inputs.listed(found), kerasq.inputs.listed(wanted), strict=True):
        np.testing.assert_allclose(one, np.asarray(other), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_predict_takes_and_returns_what_the_keras_model_does(name, tmp_path):
    make, x, names = MODELS[name]
    model = make()
    model.export(tmp_path / "saved", verbose=False)
    for source in (model, tmp_path / "saved"):
        interpreter = kerasq.Interpreter(model_content=kerasq.convert(source, settings=FLOAT))
        assert_equal(interpreter.predict(x), model(x))
        found = [entry["name"] for entry in interpreter.get_input_details()]
        assert names is None or found == names
        assert_equal(
            interpreter.predict(dict(zip(found, kerasq.inputs.listed(x), strict=True)) if names is None else x), model(x)
        )


def test_nested_outputs_come_flat():
    zeta, alpha = inputs = two("zeta", "alpha")
    total, difference, product = L.Add()(inputs), L.Subtract()(inputs), L.Multiply()(inputs)
    for nested, flat in (
        ({"a": {"b": total}, "c": [difference, product]}, {"a/b": total, "c/0": difference, "c/1": product}),
        ([total, [difference, product]], [total, difference, product]),
    ):
        interpreter = kerasq.Interpreter(model_content=kerasq.convert(keras.Model(inputs, nested), settings=FLOAT))
        assert_equal(interpreter.predict(list(X)), keras.Model([zeta, alpha], flat)(list(X)))


@pytest.mark.parametrize(
    "names", [("left image", "right"), ("x:0", "y"), ("Left", "left"), ("größe", "b"), ("a b", "a_b"), ("self", "_x")]
)
def test_names_that_tensorflow_would_not_have(names):
    model = listed(*names)
    interpreter = kerasq.Interpreter(model_content=kerasq.convert(model, settings=FLOAT))
    assert [entry["name"] for entry in interpreter.get_input_details()] == list(names)
    assert_equal(interpreter.predict({names[1]: X[1], names[0]: X[0]}), model(list(X)))


def test_the_tenth_input_comes_after_the_ninth(tmp_path):
    inputs = two(*(f"input_{number}" for number in range(11, -1, -1)))
    model = keras.Model(inputs, [L.Subtract()(inputs[number : number + 2]) for number in range(11)])
    model.export(tmp_path / "saved", verbose=False)
    x = list(np.random.default_rng(1).normal(size=(12, 5, 4)).astype(np.float32))
    interpreter = kerasq.Interpreter(model_content=kerasq.convert(tmp_path / "saved", settings=FLOAT))
    assert [entry["name"] for entry in interpreter.get_input_details()] == [tensor.name for tensor in inputs]
    assert_equal(interpreter.predict(x), model(x))


class Module(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None, 4), name="zz"), tf.TensorSpec((None, 4), name="bb")])
    def named(self, p, q):
        return {"z": p - q, "a": 2.0 * q}

    @tf.function(input_signature=[tf.TensorSpec((None, 4)), tf.TensorSpec((None, 4))])
    def plain(self, p, c):
        return p - c


def test_arguments_of_a_module_keep_their_order(tmp_path):
    module = Module()
    tf.saved_model.save(module, tmp_path, signatures={"named": module.named, "plain": module.plain})
    for signature, names, function in (("named", ["zz", "bb"], module.named), ("plain", ["p", "c"], module.plain)):
        interpreter = kerasq.Interpreter(model_content=kerasq.convert(tmp_path, signature=signature, settings=FLOAT))
        assert [entry["name"] for entry in interpreter.get_input_details()] == names
        assert_equal(interpreter.predict(list(X)), function(*X))
        assert_equal(interpreter.predict(dict(zip(names, X, strict=True))), function(*X))


def save_graph_of_tensorflow_1(folder, sizes):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        p, c = (v1.placeholder(tf.float32, [None, size], name=name) for name, size in zip("pc", sizes, strict=True))
        y = tf.identity(p - c if sizes[0] == sizes[1] else tf.concat([p, c], -1), "y")
        builder = v1.saved_model.Builder(str(folder))
        signature = v1.saved_model.predict_signature_def({"p": p, "c": c}, {"y": y})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def test_where_nothing_tells_the_order_examples_come_by_name(tmp_path):
    save_graph_of_tensorflow_1(tmp_path / "graph", (4, 4))
    converter = Converter(tmp_path / "graph")
    converter.representative_dataset = {"p": X[0], "c": X[1]}
    interpreter = kerasq.Interpreter(model_content=converter.convert())
    assert any("order of its inputs: they come as 'c', 'p'" in note for note in converter.report.notes)
    np.testing.assert_allclose(interpreter.predict({"p": X[0], "c": X[1]}), X[0] - X[1], atol=0.1)
    for examples in (list(X), [list(X)]):
        with pytest.raises(ConversionError, match=r"order of the network's inputs \('c', 'p'\) is not known.*dict by name"):
            kerasq.convert(tmp_path / "graph", representative_dataset=examples)


def test_where_nothing_tells_the_order_shapes_may(tmp_path):
    save_graph_of_tensorflow_1(tmp_path / "graph", (4, 3))
    expected = kerasq.convert(tmp_path / "graph", representative_dataset={"p": X[0], "c": X[1, :, :3]})
    assert kerasq.convert(tmp_path / "graph", representative_dataset=[X[0], X[1, :, :3]]) == expected
