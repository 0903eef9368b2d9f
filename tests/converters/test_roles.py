"""Roles of tensors: what emission writes has them, and nothing but them decides what becomes of a tensor."""

import dataclasses

import keras
import numpy as np
import pytest

import kerasq
from converters.zoo import L, randomized
from kerasq import format as kq
from kerasq import ops
from kerasq_convert.building import Builder
from kerasq_convert.frontend import read_model
from kerasq_convert.observation.observe import observe
from kerasq_convert.options import Options
from kerasq_convert.passes.simplify import simplify
from kerasq_convert.roles import Part, Role
from kerasq_convert.settings import Settings

X = np.random.default_rng(4).normal(size=(16, 6, 6, 3)).astype(np.float32)
PLAIN = ("a", "b", "c", "d", "e", "f", "g")
LIKE_SUFFIXES = ("bias", "kernel", "multiplier", "exp", "moved", "addend", "table")


def network(names):
    """All kinds of tensors that a conversion makes, under names of layers that may sound like parts of others."""
    first, second, total, pool, curve, flat, scores = names
    keras.utils.set_random_seed(3)
    image = keras.Input((6, 6, 3), name="image")
    x = kerasq.BinaryConnectConv2D(4, 3, padding="same", activation="tanh", name=first)(image)
    y = L.Conv2D(4, 3, padding="same", name=second)(x)
    x = L.MaxPooling2D(2, name=pool)(L.Add(name=total)([x, y]))
    x = L.Flatten(name=flat)(L.Activation("sigmoid", name=curve)(x))
    return randomized(keras.Model(image, L.Dense(3, activation="softmax", name=scores)(x), name="net"))


@pytest.fixture(scope="module")
def emitted():
    graph = simplify(read_model(network(PLAIN)))
    options = Options(representative_dataset=X)
    settings = Settings.load({"buffers": {"d/output": "FIXED16_9"}})
    return Builder.of(graph, settings, observe(graph, None, options).statistics, options)({})


def test_every_tensor_has_a_role_of_its_own(emitted):
    assert len(set(emitted.roles)) == len(emitted.roles) == len(emitted.model.tensors)
    assert {role.part for role in emitted.roles} >= {
        Part.BUFFER,
        Part.KERNEL,
        Part.BIAS,
        Part.TABLE,
        Part.EXPONENTIALS,
        Part.MOVED,
    }
    settable = {role for role in emitted.roles if role.is_buffer or role.is_parameter}
    assert all(role.made for role in set(emitted.roles) - settable)


def test_a_role_is_that_of_the_operand(emitted):
    """What the operator calls a tensor, the converter made it for."""
    parts = {
        "kernel": {Part.KERNEL},
        "multiplier": {Part.MULTIPLIER},
        "bias": {Part.BIAS},
        "table": {Part.TABLE, Part.EXPONENTIALS},
    }
    met = set()
    for operator in emitted.model.operators:
        output = emitted.roles[operator.outputs[0]]
        for operand, index in ops.TABLE[operator.kind].listed(operator):
            if operand.constant and index >= 0:
                role = emitted.roles[index]
                assert role.part in parts[operand.name]
                assert role.value == output.value
                met.add(operand.name)
    assert met == parts.keys()


def test_formats_are_of_roles(emitted):
    assert set(emitted.formats.buffers) | set(emitted.formats.kernels) <= set(emitted.roles)
    for role, tensor in zip(emitted.roles, emitted.model.tensors, strict=True):
        choice = emitted.formats.get(role)
        assert choice is None or choice.format == tensor.format


def test_a_multiplier_of_ones_is_made_by_the_converter(emitted):
    made = [role for role in emitted.roles if role.part is Part.MULTIPLIER and role.made]
    ones = [emitted.constants()[role].values for role in made]
    assert ones
    assert all(np.all(values == 1) for values in ones)
    assert set(made) == {Role(Part.MULTIPLIER, role.value) for role in made}


def without_names(content):
    model = kq.loads(content)
    tensors = [(tensor.shape, tensor.format, None if tensor.data is None else tensor.data.tobytes()) for tensor in model.tensors]
    return tensors, [dataclasses.astuple(operator) for operator in model.operators], model.arena_bytes


@pytest.mark.parametrize("bits", [8, 16])
def test_names_decide_nothing(bits):
    options = {"representative_dataset": X, "bits": bits}
    plain, like_suffixes = (kerasq.convert(network(names), **options) for names in (PLAIN, LIKE_SUFFIXES))
    assert without_names(plain) == without_names(like_suffixes)
