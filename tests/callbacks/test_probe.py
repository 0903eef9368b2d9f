import keras
import numpy as np
import pytest

from kerasq.callbacks.probe import Probe

RNG = np.random.default_rng(1)
IMAGES = RNG.integers(0, 256, (6, 8, 8, 3), np.uint8)


def functional():
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(image)
    x = keras.layers.Conv2D(4, 3, name="conv")(x)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.Dropout(0.5, name="drop")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(3, name="dense")(x), name="net")


def moments(values):
    values = np.asarray(values, np.float64)
    return values.size, values.min(), values.max(), pytest.approx(values.mean(), rel=1e-5, abs=1e-7)


def summary(histogram):
    return histogram.count, histogram.min, histogram.max, histogram.mean


def test_every_output_and_kernel_of_a_functional_model():
    model = functional()
    statistics = Probe(model).collect([IMAGES[:4], IMAGES[4:]])
    outputs = [f"{name}/output" for name in ("scale", "conv", "bn", "drop", "pool", "dense")]
    assert list(statistics) == ["image", *outputs, "conv/kernel", "dense/kernel"]
    x = IMAGES.astype(np.float32)
    assert summary(statistics["image"]) == moments(IMAGES)
    for name in ("scale", "conv", "bn", "drop", "pool", "dense"):
        x = np.asarray(model.get_layer(name)(x, training=False))
        count, low, high, mean = moments(x)
        assert statistics[f"{name}/output"].count == count
        np.testing.assert_allclose([statistics[f"{name}/output"].min, statistics[f"{name}/output"].max], [low, high], 1e-5, 1e-6)
        assert statistics[f"{name}/output"].mean == mean
    assert summary(statistics["conv/kernel"]) == moments(model.get_layer("conv").kernel)


def test_the_model_is_left_as_it_is():
    model = functional()
    outputs = {layer.name: layer.output for layer in model.layers}
    before = {layer.name: len(layer._inbound_nodes) for layer in model.layers}
    Probe(model).collect([IMAGES])
    assert {layer.name: len(layer._inbound_nodes) for layer in model.layers} == before
    assert all(layer.output is outputs[layer.name] for layer in model.layers)
    assert not model.compiled


def test_present_weights_are_seen():
    model = functional()
    probe = Probe(model)
    before = probe.collect([IMAGES])
    model.get_layer("conv").kernel.assign(2 * model.get_layer("conv").kernel)
    after = probe.collect([IMAGES])
    assert after["conv/kernel"].max == 2 * before["conv/kernel"].max
    assert after["conv/output"].max == pytest.approx(2 * before["conv/output"].max, rel=1e-5)


def test_sequential_model():
    model = keras.Sequential([keras.Input((5,), name="x"), keras.layers.Dense(2, name="a"), keras.layers.ReLU(name="b")])
    statistics = Probe(model).collect([RNG.normal(size=(7, 5))])
    assert list(statistics) == ["x", "a/output", "b/output", "a/kernel"]
    assert statistics["b/output"].count == 14


def test_shared_layer_has_one_entry_over_all_calls():
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    dense = keras.layers.Dense(3, name="dense")
    model = keras.Model([left, right], keras.layers.Add(name="sum")([dense(left), dense(right)]))
    a, b = RNG.normal(size=(2, 5, 4)).astype(np.float32)
    statistics = Probe(model).collect([[a, 10 * b]])
    assert list(statistics) == ["left", "right", "dense/output", "sum/output", "dense/kernel"]
    both = np.concatenate([np.asarray(dense(a)), np.asarray(dense(10 * b))])
    assert statistics["dense/output"].count == 30
    assert statistics["dense/output"].max == pytest.approx(both.max(), rel=1e-5)
    assert statistics["dense/kernel"].count == 12


def test_layers_of_nested_models_carry_the_path():
    def block(name, body):
        inputs = keras.Input((4,))
        return keras.Model(inputs, body(inputs), name=name)

    inner = block("inner", keras.layers.Dense(4, name="dense"))
    outer = block("outer", lambda x: keras.layers.ReLU(name="relu")(inner(keras.layers.Dense(4, name="dense")(x))))
    tail = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")], name="tail")
    image = keras.Input((4,), name="image")
    model = keras.Model(image, tail(outer(image)))
    x = RNG.normal(size=(5, 4)).astype(np.float32)
    statistics = Probe(model).collect([x])
    assert list(statistics) == [
        "image",
        "outer/dense/output",
        "outer/inner/dense/output",
        "outer/relu/output",
        "tail/dense/output",
        "outer/dense/kernel",
        "outer/inner/dense/kernel",
        "tail/dense/kernel",
    ]
    assert statistics["outer/relu/output"].max == pytest.approx(np.asarray(outer(x)).max(), rel=1e-5)
    assert statistics["tail/dense/output"].max == pytest.approx(np.asarray(model(x)).max(), rel=1e-5)


def test_inputs_by_name_or_in_order():
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    model = keras.Model({"a": a, "b": b}, keras.layers.Concatenate(name="both")([a, b]))
    batch = {"b": np.full((1, 3), 7.0), "a": np.full((1, 2), -5.0)}
    by_name = Probe(model).collect([batch])
    in_order = Probe(model).collect([(batch["a"], batch["b"])])
    assert by_name["a"].max == in_order["a"].max == -5
    assert by_name["b"].max == in_order["b"].max == by_name["both/output"].max == 7


@pytest.mark.parametrize("batch", [np.zeros((1, 2)), {"a": np.zeros((1, 2)), "c": np.zeros((1, 3))}])
def test_other_inputs_than_the_networks_are_refused(batch):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    probe = Probe(keras.Model([a, b], keras.layers.Concatenate()([a, b])))
    with pytest.raises(ValueError, match=r"inputs are \['a', 'b'\].*Received"):
        probe.collect([batch])


def test_several_outputs_of_a_layer_and_operations_without_a_layer():
    x = keras.Input((4,), name="x")
    low, high = keras.ops.split(x, 2, axis=-1)
    model = keras.Model(x, keras.layers.Add(name="sum")([low, high]))
    statistics = Probe(model).collect([np.array([[1.0, 2.0, 30.0, 40.0]])])
    first, second = [name for name in statistics if name not in ("x", "sum/output")]
    assert second == f"{first}:1"
    assert (statistics[first].max, statistics[second].max, statistics["sum/output"].max) == (2, 40, 42)


def test_quantized_kernels_are_those_the_layer_computes_with():
    class SignDense(keras.layers.Dense):
        @property
        def quantized_kernel(self):
            return keras.ops.where(self.kernel >= 0, 1.0, -1.0)

    model = keras.Sequential([keras.Input((4,)), SignDense(3, name="sign")])
    kernel = Probe(model).collect([np.zeros((1, 4))])["sign/kernel"]
    assert (kernel.min, kernel.max, kernel.exact_frac_bits) == (-1, 1, 0)


def test_mixed_precision():
    image = keras.Input((4,), name="image")
    model = keras.Model(image, keras.layers.Dense(3, dtype="mixed_bfloat16", name="dense")(image))
    assert Probe(model).collect([np.ones((2, 4))])["dense/output"].count == 6


def test_a_model_that_is_not_built_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"keras\.Input.*Received"):
        Probe(keras.Sequential([keras.layers.Dense(2)]))


def test_what_an_activation_inside_a_layer_reads():
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3, activation="softmax", name="dense")])
    x = RNG.normal(size=(5, 4)).astype(np.float32)
    statistics = Probe(model).collect([x])
    assert list(statistics) == ["x", "dense/before_activation", "dense/output", "dense/kernel"]
    logits = x @ np.asarray(model.layers[0].kernel)
    assert statistics["dense/before_activation"].max == pytest.approx(logits.max(), rel=1e-5)
    assert statistics["dense/before_activation"].min == pytest.approx(logits.min(), rel=1e-5)


def test_functions_and_calls_are_put_back():
    model = functional()
    before = [dict(vars(layer)) for layer in model.layers]
    Probe(model).collect([IMAGES])
    after = [vars(layer) for layer in model.layers]
    assert [set(names) for names in after] == [set(names) for names in before]
    assert all(one.get("activation") is two.get("activation") for one, two in zip(after, before, strict=True))


def test_a_layer_that_fails_leaves_the_model_as_it_was():
    class Failing(keras.layers.Layer):
        fails = False

        def call(self, x):
            if self.fails:
                raise RuntimeError("no luck")
            return x

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="tanh"), Failing()])
    Failing.fails = True
    with pytest.raises(RuntimeError, match="no luck"):
        Probe(model).collect([np.zeros((1, 4))])
    assert "call" not in vars(model.layers[0])
    assert model.layers[0].activation is keras.activations.tanh
