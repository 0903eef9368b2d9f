"""`weight_bits`: kernels of free float weights in other widths than 8 bits, after training."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

import kerasq
from converters import zoo
from converters.zoo import L
from kerasq.format import loads
from kerasq.qformat import fixed
from kerasq_convert import ConversionError
from kerasq_convert.comparison.outputs import run, signal_to_noise_db
from kerasq_convert.formats.choice import KERNEL_BITS
from kerasq_convert.frontend import read_model
from kerasq_convert.graph import WeightedNode
from kerasq_convert.options import OptionsError
from kerasq_convert.passes.scale_channels import FORMATS, scale_channels
from kerasq_convert.passes.simplify import simplify
from kerasq_convert.passes.widths import end_kernels

X = np.random.default_rng(5).normal(size=(48, 8, 8, 3)).astype(np.float32)
SHORT = [bits for bits in KERNEL_BITS if bits < 8]


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Two first kernels, two last ones, and three between them of which one is binary."""
    keras.utils.set_random_seed(6)
    image = keras.Input((8, 8, 3), name="image")
    x = L.Add()([L.Conv2D(8, 3, padding="same", name=name)(image) for name in ("first", "other_first")])
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="inner")(x)
    x = kerasq.BinaryWeightConv2D(8, 1, name="binary")(x)
    x = L.Flatten()(L.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x))
    return zoo.randomized(keras.Model(image, [L.Dense(5, name="last")(x), L.Dense(2, name="other_last")(x)]))


def converted(model, **options):
    return loads(kerasq.convert(model, representative_dataset=X, prune=False, **options))


def kernels(network) -> dict[str, str]:
    return {t.name.removesuffix("/kernel"): str(t.format) for t in network.constants() if t.name.endswith("/kernel")}


ENDS = ("first", "other_first", "last", "other_last")


@pytest.mark.parametrize("bits", SHORT)
def test_inner_kernels_get_the_width_and_multipliers_and_the_ends_keep_eight_bits(model, bits):
    network = converted(model, weight_bits=bits)
    formats = kernels(network)
    assert formats["binary"] == "SIGN"
    assert {name for name, format_ in formats.items() if format_ == str(FORMATS[bits])} == {"inner", "depthwise"}
    assert all(formats[name].startswith("FIXED8_") for name in ENDS)
    assert {"inner/multiplier", "depthwise/multiplier"} <= {tensor.name for tensor in network.constants()}


@pytest.mark.parametrize("bits", KERNEL_BITS)
def test_the_ends_have_a_width_of_their_own_where_one_is_asked_for(model, bits):
    formats = kernels(converted(model, weight_bits=16, end_weight_bits=bits))
    assert {formats[name].split("_")[0] for name in ENDS} == {f"FIXED{bits}"}
    assert {formats[name].split("_")[0] for name in ("inner", "depthwise")} == {"FIXED16"}


def test_wide_kernels_need_no_multiplier_and_short_ones_do_without_where_that_is_asked_for(model):
    for options in ({"weight_bits": 16}, {"weight_bits": 4, "per_channel": False}):
        network = converted(model, **options)
        assert kernels(network)["inner"].startswith(f"FIXED{options['weight_bits']}_")
        # One of ones may stand there: it gives sums a finer position, where the bias asks for that.
        made = {
            tensor.name for tensor in network.constants() if tensor.name.endswith("/multiplier") and np.any(tensor.values != 1)
        }
        assert "inner/multiplier" not in made


def test_settings_go_before_it(model):
    formats = kernels(
        converted(model, weight_bits=4, settings={"parameters": {"inn*/kernel": "FIXED16", "last/kernel": "FIXED4"}})
    )
    assert formats["inner"].startswith("FIXED16_")
    assert formats["last"].startswith("FIXED4_")
    assert formats["depthwise"] == "FIXED4_3"


def test_eight_bits_are_the_default(model):
    assert kerasq.convert(model, representative_dataset=X, weight_bits=8) == kerasq.convert(model, representative_dataset=X)


def test_more_bits_have_less_noise(model):
    wanted = [np.asarray(array) for array in model.predict(X, verbose=0)]
    ratios = [signal_to_noise_db(run(converted(model, bits=16, weight_bits=bits), [X]), wanted) for bits in KERNEL_BITS]
    assert all(after > before + 6 for before, after in itertools.pairwise(ratios))


def test_it_works_without_examples(model):
    assert kernels(loads(kerasq.convert(model, weight_bits=4)))["inner"] == "FIXED4_3"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weight_bits": 3}, "weight_bits: "),
        ({"weight_bits": True}, "2, 4, 8, 16 or auto was expected. Received: True"),
        ({"end_weight_bits": 4}, "end_weight_bits is for another width than that of the other kernels: give weight_bits, too"),
        ({"weight_bits": 4, "end_weight_bits": 32}, "end_weight_bits: "),
    ],
)
def test_widths_that_there_are_not(options, words):
    with pytest.raises(OptionsError) as error:
        kerasq.convert("none.keras", representative_dataset=X, **options)
    assert words in str(error.value)


def test_a_width_that_decides_nothing_is_an_error():
    keras.utils.set_random_seed(6)
    ends = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3, name="a"), L.Conv2D(4, 3, name="b")])
    with pytest.raises(ConversionError, match=r"a/kernel, b/kernel: .* give --end_weight_bits 4, too"):
        converted(ends, weight_bits=4)
    with pytest.raises(ConversionError, match="no kernel is free"):
        converted(ends, weight_bits=4, settings={"parameters": {"*/kernel": "FIXED16"}})
    assert set(kernels(converted(ends, weight_bits=4, end_weight_bits=4)).values()) == {"FIXED4_3"}


def test_ends_are_those_of_every_branch(model):
    network = simplify(read_model(model, None))
    assert {network.names[role].removesuffix("/kernel") for role in end_kernels(network.graph)} == {*ENDS}


@pytest.mark.parametrize("bits", SHORT)
def test_scales_of_channels_have_nearly_the_least_error(bits):
    keras.utils.set_random_seed(6)
    layer = L.Conv2D(6, 3, name="a")
    model = keras.Sequential([keras.Input((8, 8, 3)), layer])
    kernel = np.random.default_rng(1).normal(size=(3, 3, 3, 6)).astype(np.float32)
    kernel[..., 3:] = -kernel[..., :3]  # the range reaches a step further for negative weights
    layer.set_weights([kernel, np.zeros(6)])
    graph = scale_channels(simplify(read_model(model, None)).graph, format_of=lambda _: fixed(bits, bits - 1))
    (node,) = (node for node in graph.nodes if isinstance(node, WeightedNode))
    assert node.rounded == FORMATS[bits]
    rows = kernel.transpose(3, 0, 1, 2).reshape(6, -1)
    noise = np.sum((node.kernel.reshape(6, -1) * node.multiplier[:, None] - rows) ** 2, axis=1)
    low, high, scales = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1, np.linspace(0.02, 4, 4000)[:, None, None]
    steps = [scales, -scales]
    tried = [np.sum((np.clip(np.floor(rows / step + 0.5), low, high) * step - rows) ** 2, axis=-1) for step in steps]
    assert np.all(noise <= 1.03 * np.min(tried, axis=(0, 1)))
    np.testing.assert_allclose(noise[3:], noise[:3], rtol=1e-6)
