"""What can't change is left out: outputs stay the same to the bit, for random inputs and at the ends of formats."""

import dataclasses

import numpy as np
import pytest

import kerasq
from converters import layer_zoo, zoo
from kerasq import ops
from kerasq.conformance.samples import ModelBuilder
from kerasq.format import OperatorKind, dumps, loads
from kerasq.interpreter.reference import ReferenceEngine
from kerasq.selftest import random_example
from kerasq_convert.memory.plan import plan_memory
from kerasq_convert.pruning.intervals import intervals_of
from kerasq_convert.pruning.prune import prune, pruned_layers
from random_graphs import random_graph

WEIGHTED = (OperatorKind.CONV_2D, OperatorKind.DENSE)
ZOO = ("residual", "residual_binary_weight", "nested", "shared", "groups", "depth_multiplier", "offset_before_padding")
LAYERS = ("separable2d", "autoencoder", "two_inputs_two_outputs", "residual_of_sequences", "hard_sigmoid", "average")


def with_data(model, changes):
    """`model` with other data of its constants, by index, and the widths that they need."""
    tensors = [
        dataclasses.replace(tensor, data=changes[index].astype(tensor.data.dtype)) if index in changes else tensor
        for index, tensor in enumerate(model.tensors)
    ]
    changed = dataclasses.replace(model, tensors=tuple(tensors))
    return dataclasses.replace(changed, operators=tuple(ops.with_widths(changed, operator) for operator in model.operators))


def planted(model, seed):
    """`model` with half of the rows of its kernels zero, and some columns."""
    rng, changes = np.random.default_rng(seed), {}
    for operator in model.operators:
        index = ops.operand_index(operator, "kernel")
        if operator.kind in WEIGHTED and not model.tensors[index].format.is_sign:
            data = changes.get(index, model.tensors[index].data).copy()
            data[rng.random(len(data)) < 0.5] = 0
            if data.ndim == 4 and rng.random() < 0.5:
                data[..., rng.random(data.shape[-1]) < 0.3] = 0
            changes[index] = data
    return with_data(model, changes)


def extreme(model, seed):
    """Examples of the least and the largest values that inputs have, and of zeros."""
    rng, examples = np.random.default_rng(seed), []
    for index in model.inputs:
        tensor = model.tensors[index]
        values = [-100.0, 0.0, 100.0] if tensor.format.is_float else [tensor.format.min_int, 0, tensor.format.max_int]
        examples.append(rng.choice(values, (3, *tensor.shape[1:])).astype(tensor.format.dtype))
    return examples


def outputs(model, examples):
    values = {}
    ReferenceEngine(model).run(examples, lambda index, stored: values.update({index: stored}))
    return {model.tensors[index].name: values[index] for index in model.outputs}


def macs(model):
    return sum(ops.macs(model, operator) for operator in model.operators)


def assert_same(model, pruned):
    """Ends have kept names, shapes and formats; outputs are equal, by both engines."""
    for ends in ("inputs", "outputs"):
        before, after = ([m.tensors[i] for i in getattr(m, ends)] for m in (model, pruned))
        assert [(t.name, t.shape, t.format) for t in before] == [(t.name, t.shape, t.format) for t in after]
    pruned = loads(dumps(pruned))
    random = [np.concatenate(parts) for parts in zip(*(random_example(model, seed) for seed in range(3)), strict=True)]
    for examples in (random, extreme(model, 1)):
        wanted = outputs(model, examples)
        for name, values in outputs(pruned, examples).items():
            assert values.dtype == wanted[name].dtype
            assert np.array_equal(values, wanted[name]), name
        native = kerasq.Interpreter(model_content=dumps(pruned))
        native.allocate_tensors()
        for index, values in zip(pruned.inputs, examples, strict=True):
            native.set_tensor(index, values[:1])
        native.invoke()
        for index in pruned.outputs:
            if pruned.tensors[index].format.is_fixed:
                assert np.array_equal(native.get_tensor(index), wanted[pruned.tensors[index].name][:1])


def may_shrink(model):
    """Whether a layer alone reads another one, all in integers, whose rows of zeros `planted` made: nothing is added to these."""
    readers = {index: [o for o in model.operators if index in o.inputs] for index in range(len(model.tensors))}

    def is_layer(operator):
        tensors = [model.tensors[index] for index in (*operator.inputs, *operator.outputs) if index >= 0]
        is_sum = operator.kind in WEIGHTED and ops.operand(model, operator, "addend") is None
        return is_sum and all(tensor.format.is_fixed for tensor in tensors)

    return any(
        is_layer(operator) and len(readers[output]) == 1 and is_layer(readers[output][0]) and output not in model.outputs
        for operator in model.operators
        for output in operator.outputs
    )


def test_random_graphs():
    counts = 0
    for seed in range(60):
        for model in (random_graph(seed), planted(random_graph(seed), seed)):
            pruned = prune(model)
            if pruned is not model:
                assert_same(model, pruned)
                counts += 1
    assert counts > 40


def test_layers_of_random_graphs_that_read_zeros_shrink():
    models = [model for seed in range(300) if may_shrink(model := planted(random_graph(seed), seed))]
    pruned = [prune(model) for model in models]
    assert len(models) >= 6
    for before, after in zip(models, pruned, strict=True):
        assert_same(before, after)
    assert sum(map(macs, pruned)) < 0.8 * sum(map(macs, models))


def test_ranges_hold_what_random_graphs_compute():
    tight = 0
    for seed in range(60):
        model = planted(random_graph(seed), seed)
        ranges, _ = intervals_of(model)
        for examples in (random_example(model, 3), extreme(model, 3)):
            values = {}
            ReferenceEngine(model).run(examples, lambda index, stored, values=values: values.update({index: stored}))
            for index, interval in ranges.items():
                channels = values[index].reshape(-1, values[index].shape[-1]).astype(object)
                assert np.all(channels.min(axis=0) >= interval.low), (seed, model.tensors[index].name)
                assert np.all(channels.max(axis=0) <= interval.high), (seed, model.tensors[index].name)
                tight += np.count_nonzero(interval.is_constant)
    assert tight > 500


@pytest.mark.parametrize("name", [*ZOO, *LAYERS])
def test_converted_networks_with_planted_constants(name):
    model = zoo.build(name) if name in ZOO else layer_zoo.make(name)
    converter = kerasq.Converter(model)
    converter.representative_dataset = zoo.images(8) if name in ZOO else (lambda: [layer_zoo.examples(model, 8, seed=5)])
    converter.prune, converter.correct_bias = False, False
    converted = loads(converter.convert())
    for network in (converted, planted(converted, 3)):
        assert_same(network, prune(network))
    assert macs(prune(planted(converted, 3))) <= macs(converted)


class Net(ModelBuilder):
    """Networks of unsigned bytes over 4x4 pixels; kernels of 1 and 2, so that sums are small."""

    def __init__(self):
        super().__init__()
        self.x = self.activation("x", "UFIXED8_4", 1, 4, 4, 3)

    def conv(self, name, x, outputs, *, constant=None, groups=1, size=1, padding=(0,) * 4, zero=0, bias="FIXED32_8", addend=None):
        """A convolution whose channels are 0 .. outputs - 1, of which `constant` have no weights but a bias."""
        channels = self.tensors[x].shape[-1]
        kernel = self.random.integers(1, 3, (outputs, size, size, channels // groups))
        biases = np.zeros(outputs)
        for channel, value in (constant or {}).items():
            kernel[channel] = 0
            biases[channel] = value * 16
        parts = {"input": x, "kernel": self.constant(f"{name}/kernel", "FIXED8_4", *kernel.shape, data=kernel)}
        parts["bias"] = self.constant(f"{name}/bias", bias, outputs, data=biases)
        if addend is not None:
            parts["addend"] = addend
        side = self.tensors[x].shape[1] + padding[0] + padding[1] - size + 1
        y = self.activation(f"{name}/output", "UFIXED8_4", 1, side, side, outputs)
        return self.operator(OperatorKind.CONV_2D, parts, y, groups=groups, padding=padding, zero=zero)

    def other(self, kind, inputs, name, *shape, format="UFIXED8_4", **attributes):
        return self.operator(kind, inputs, self.activation(name, format, 1, *shape), **attributes)

    def pruned(self):
        model = plan_memory(self.model(inputs=[self.x]))
        model = dataclasses.replace(model, operators=tuple(ops.with_widths(model, operator) for operator in model.operators))
        pruned = prune(model)
        assert_same(model, pruned)
        return model, pruned


def channels(model):
    return {model.output(operator).name: model.output(operator).shape[-1] for operator in model.operators}


def test_constants_go_into_the_next_bias_through_all_that_moves_them():
    net = Net()
    a = net.conv("a", net.x, 6, constant={1: 0, 2: 5, 4: 7})
    d = net.conv("d", a, 6, groups=6)  # computes constants of constants
    b = net.conv("b", d, 6, constant={0: 3, 2: 9})
    c = net.conv("c", net.x, 6, constant={2: 4, 5: 1})
    s = net.other(OperatorKind.ADD, (b, c), "s", 4, 4, 6)
    p = net.other(OperatorKind.MAX_POOL_2D, (s,), "p", 2, 2, 6, window=(2, 2), strides=(2, 2))
    q = net.other(OperatorKind.AVERAGE_POOL_2D, (p,), "q", 1, 1, 6, window=(2, 2), strides=(2, 2))
    j = net.other(OperatorKind.CONCAT, (q, q), "j", 1, 1, 12)
    net.conv("e", j, 2)
    before, after = net.pruned()
    assert channels(after) == {
        "a/output": 3, "d/output": 3, "b/output": 5, "c/output": 5, "s": 5, "p": 5, "q": 5, "j": 10, "e/output": 2,
    }  # fmt: skip
    assert np.any(after.tensor("e/bias").data != 0)
    assert {layer.name: layer.channels for layer in pruned_layers(before, after)}["j"] == (12, 10)


# What a channel is, the zero of the padding beside it, and how many of the five channels stay.
BESIDE_PADDING = [(0, 0, 4), (5, 0, 5), (5, 5, 4), (0, 5, 5), (1, 5, 5)]


@pytest.mark.parametrize(("value", "zero", "kept"), BESIDE_PADDING)
def test_beside_padding_only_zeros_go(value, zero, kept):
    net = Net()
    a = net.conv("a", net.x, 5, constant={2: value})
    net.conv("b", a, 3, size=3, padding=(1, 1, 1, 1), zero=zero)
    _, after = net.pruned()
    assert channels(after) == {"a/output": kept, "b/output": 3}
    assert after.operators[1].zero == zero
    assert bool(np.any(after.tensor("b/bias").data)) == (value == zero != 0)


@pytest.mark.parametrize(("value", "zero", "kept"), BESIDE_PADDING)
def test_a_depthwise_convolution_beside_padding_makes_no_constant_of_one(value, zero, kept):
    net = Net()
    a = net.conv("a", net.x, 5, constant={2: value})
    b = net.conv("b", a, 5, groups=5, size=3, padding=(1, 1, 1, 1), zero=zero)
    net.conv("c", b, 3)
    _, after = net.pruned()
    assert channels(after) == {"a/output": kept, "b/output": kept, "c/output": 3}


def test_a_product_with_the_zero_is_nothing():
    net = Net()
    a = net.conv("a", net.x, 5, constant={1: 0, 2: 6})
    b = net.conv("b", net.x, 5)
    y = net.other(OperatorKind.MUL, (a, b), "y", 4, 4, 5, format="FIXED16_6", zero=6)
    parts = {"input": y, "kernel": net.constant("c/kernel", "FIXED8_4", 3, 1, 1, 5)}
    net.operator(OperatorKind.CONV_2D, parts, net.activation("c/output", "FIXED16_6", 1, 4, 4, 3))
    _, after = net.pruned()
    assert channels(after) == {"a/output": 4, "b/output": 4, "y": 4, "c/output": 3}
    (product,) = (operator for operator in after.operators if operator.kind is OperatorKind.MUL)
    assert product.zero == 6


def test_a_constant_that_no_bias_holds_stays():
    net = Net()
    a = net.conv("a", net.x, 3, constant={1: 5})
    parts = {"input": a, "kernel": net.constant("b/kernel", "FIXED16_15", 2, 1, 1, 3, data=np.full((2, 1, 1, 3), 32767))}
    parts["multiplier"] = net.constant("b/multiplier", "FIXED32_31", 2, data=np.full(2, 2**31 - 1))
    net.operator(OperatorKind.CONV_2D, parts, net.activation("b/output", "UFIXED8_4", 1, 4, 4, 2))
    _, after = net.pruned()
    assert channels(after) == {"a/output": 3, "b/output": 2}


def test_channels_that_no_kernel_reads_go_and_with_them_all_before():
    net = Net()
    a = net.conv("a", net.x, 4)
    b = net.conv("b", a, 4)
    kernel = np.ones((2, 1, 1, 4))
    kernel[..., 1:3] = 0
    parts = {"input": b, "kernel": net.constant("c/kernel", "FIXED8_4", 2, 1, 1, 4, data=kernel)}
    net.operator(OperatorKind.CONV_2D, parts, net.activation("c/output", "UFIXED8_4", 1, 4, 4, 2))
    _, after = net.pruned()
    assert channels(after) == {"a/output": 4, "b/output": 2, "c/output": 2}


def test_a_constant_addend_becomes_part_of_the_bias():
    net = Net()
    a = net.conv("a", net.x, 2, constant={0: 3, 1: 8})
    net.conv("b", net.x, 2, addend=a)
    _, after = net.pruned()
    assert channels(after) == {"b/output": 2}
    assert after.tensor("b/bias").data.tolist() == [3 * 16, 8 * 16]


def test_operators_that_do_nothing_or_the_same_again_and_clamps_that_cant_act():
    net = Net()
    same = net.other(OperatorKind.QUANTIZE, (net.x,), "same", 4, 4, 3)
    pool = net.other(OperatorKind.MAX_POOL_2D, (same,), "pool", 4, 4, 3, window=(1, 1))
    first = net.other(OperatorKind.QUANTIZE, (pool,), "first", 4, 4, 3, format="FIXED16_6")
    again = net.other(OperatorKind.QUANTIZE, (pool,), "again", 4, 4, 3, format="FIXED16_6", clamp=(-5, 2000))
    net.other(OperatorKind.ADD, (first, again), "sum", 4, 4, 3, format="FIXED16_6", clamp=(0, 30000))
    _, after = net.pruned()
    assert list(channels(after)) == ["first", "sum"]
    assert [operator.clamp for operator in after.operators] == [None, None]
    assert after.operators[1].inputs == (after.operators[0].outputs[0],) * 2


def test_clamps_that_can_act_stay():
    net = Net()
    net.other(OperatorKind.QUANTIZE, (net.x,), "y", 4, 4, 3, clamp=(0, 254))
    before, after = net.pruned()
    assert after is before


def test_a_tensor_keeps_a_channel():
    net = Net()
    a = net.conv("a", net.x, 3, constant={0: 1, 1: 2, 2: 3})
    net.conv("b", a, 2)
    _, after = net.pruned()
    assert channels(after) == {"a/output": 1, "b/output": 2}


def test_conversion_prunes_unless_told_not_to_and_says_so():
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Conv2D(8, 3, activation="relu", name="a"), keras.layers.Conv2D(4, 1, name="b")]
    model = keras.Sequential([keras.Input((8, 8, 3), name="image"), *layers])
    kernel, bias = model.get_layer("a").get_weights()
    kernel[..., :3], bias[:3] = 0, -1
    model.get_layer("a").set_weights([kernel, bias])
    images = np.random.default_rng(1).normal(size=(16, 8, 8, 3)).astype(np.float32)
    contents, converters = {}, {}
    for prune_it in (True, False):
        converter = converters[prune_it] = kerasq.Converter(model)
        converter.representative_dataset, converter.prune = images, prune_it
        contents[prune_it] = converter.convert()
    assert len(contents[True]) < len(contents[False])
    pruned = converters[True].report.pruned
    assert [(layer.name, layer.channels) for layer in pruned] == [("a/output", (8, 5)), ("b/output", (4, 4))]
    assert "8 -> 5" in converters[True].report.to_text()
    assert converters[False].report.pruned == []
    results = [kerasq.Interpreter(model_content=content).predict(images) for content in contents.values()]
    assert np.array_equal(*results)
    again = kerasq.Converter(model)
    again.representative_dataset, again.settings = images, kerasq_settings(converters[True])
    assert again.convert() == contents[True]
    assert converters[True].settings_template() == converters[False].settings_template()
    with pytest.raises(kerasq.ConversionError, match="noprune"):
        kerasq.compare_with_float(loads(contents[True]), model, images)


def kerasq_settings(converter):
    import yaml

    return yaml.safe_load(converter.settings_template())
