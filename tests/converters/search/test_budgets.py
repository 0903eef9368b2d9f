"""Limits: widths of kernels and activations with the least noise that they allow, against all widths of small networks."""

from __future__ import annotations

import itertools
import json

import keras
import numpy as np
import pytest

import kerasq
from converters import zoo
from converters.zoo import L
from kerasq.footprint import FootprintError
from kerasq.format import loads
from kerasq.format.model import FILLED
from kerasq_convert import Converter, GoalsMissedError
from kerasq_convert.building import Builder
from kerasq_convert.command import main
from kerasq_convert.frontend import read_model
from kerasq_convert.observation.observe import observe
from kerasq_convert.options import Goals, Options, OptionsError
from kerasq_convert.passes.multipliers import with_multipliers
from kerasq_convert.passes.simplify import simplify
from kerasq_convert.report.fit import fit_on
from kerasq_convert.roles import Part
from kerasq_convert.search.resources import written
from kerasq_convert.search.table import Meter
from kerasq_convert.search.variants import Variants
from kerasq_convert.settings import Settings

RNG = np.random.default_rng(7)
X = RNG.normal(size=(64, 8, 8, 3)).astype(np.float32)
LIMITS = ("max_model_bytes", "max_arena_bytes", "max_instructions")
PLAIN = {"prune": False, "correct_bias": False}
WORST = 1.05  # noise, beside that of the best of all widths


def uneven(model: keras.Model) -> keras.Model:
    """Kernels of different sizes, so that layers are not equally sensitive."""
    rng = np.random.default_rng(2)
    model.set_weights([w * rng.uniform(0.3, 2.0) for w in zoo.randomized(model).get_weights()])
    return model


def chain() -> keras.Model:
    """Four layers."""
    layers = [L.Conv2D(6, 3, activation="relu"), L.DepthwiseConv2D(3, padding="same"), L.Conv2D(8, 1, activation="relu")]
    return keras.Sequential([keras.Input(X.shape[1:]), *layers, L.Flatten(), L.Dense(4)])


def residual() -> keras.Model:
    """Five layers, and an addition that one of them takes in."""
    x = inputs = keras.Input(X.shape[1:])
    x = before = L.Conv2D(6, 3, padding="same", activation="relu")(x)
    x = L.Conv2D(6, 1, activation="relu")(x)
    x = L.ReLU()(L.Add()([L.Conv2D(6, 3, padding="same")(x), before]))
    x = L.GlobalAveragePooling2D()(L.Conv2D(8, 3, strides=2, activation="relu")(x))
    return keras.Model(inputs, L.Dense(4)(x))


NETWORKS = {"chain": (chain, 4, 14), "residual": (residual, 3, 6)}  # with numbers of free kernels and of budgets


def meter_of(model: keras.Model, options: Options) -> Meter:
    """What measures networks of all widths."""
    settings = Settings.load(options.settings)
    network = simplify(read_model(model), settings)
    observed = observe(network, None, options)
    scaled = with_multipliers(network, settings, None, observed=True)
    variants = Variants(network, Builder.of(scaled, settings, observed.statistics, options), {}, options)
    return Meter(variants, observed.examples.inputs, observed.examples.outputs, None, options)


def instructions(content: bytes) -> float:
    """Infinite for a network with kernels of which there is no estimate."""
    try:
        return fit_on(content, "m4").instructions or np.inf
    except FootprintError:
        return np.inf


class All:
    """Every network of some widths of the tensors that are free, with its sizes and its noise."""

    def __init__(self, model: keras.Model, free: int):
        self.model = model
        # Activations but one, and kernels but the last, have their widths from settings, else there were too many.
        report = self.converter().report
        buffers = {row.name: row.format for row in report.buffers[:-1] if row.reason == "observed range"}
        kernels = {row.name: row.format for row in report.parameters if row.name.endswith("/kernel")}
        self.settings = {"buffers": buffers, "parameters": dict([*kernels.items()][:-free])}
        options = Options(representative_dataset=X, settings=self.settings, **PLAIN)
        meter = meter_of(model, options)
        roles = list(meter.variants.usual)
        assert [role.part for role in roles].count(Part.KERNEL) == free
        self.points = []
        for bits in itertools.product(*(meter.variants.bits(role) for role in roles)):
            emitted = meter.variants(dict(zip(roles, bits, strict=True)))
            file = written(emitted.model, options)
            self.points.append((file.sizes | {"max_instructions": instructions(file.content)}, meter.noise(emitted.model)))

    def converter(self, **options) -> Converter:
        converter = Converter(self.model, Options(representative_dataset=X, **PLAIN, **options))
        converter.convert()
        return converter

    def best(self, goals: Goals) -> float:
        """The least noise within limits; infinite where nothing keeps them."""
        limits = {name: getattr(goals, name) for name in LIMITS if getattr(goals, name) is not None}
        kept = (noise for sizes, noise in self.points if all(sizes[name] <= limit for name, limit in limits.items()))
        return min(kept, default=np.inf)

    def random_goals(self, rng: np.random.Generator) -> Goals:
        """Up to three limits between the least and the most that networks take, some below."""
        goals = {}
        for name in rng.permutation(LIMITS)[: rng.integers(1, 4)]:
            sizes = [sizes[name] for sizes, _ in self.points if np.isfinite(sizes[name])]
            goals[name] = int(rng.uniform(min(sizes) * 0.97, max(sizes)))
        return Goals(**goals, target="m4" if "max_instructions" in goals else None)


@pytest.mark.parametrize("name", NETWORKS)
def test_twenty_random_budgets(name):
    keras.utils.set_random_seed(3)
    make, free, count = NETWORKS[name]
    everything, rng, missed = All(uneven(make()), free), np.random.default_rng(5), 0
    for _ in range(count):
        goals = everything.random_goals(rng)
        least = everything.best(goals)
        options = {"goals": goals, "weight_bits": "auto", "settings": everything.settings}
        if np.isinf(least):
            with pytest.raises(GoalsMissedError, match="at least"):
                everything.converter(**options)
            missed += 1
            continue
        report = everything.converter(**options).report
        reached = report.trade_off[-1]
        sizes = {"max_model_bytes": report.model_bytes, "max_arena_bytes": report.arena_bytes}
        sizes["max_instructions"] = reached.instructions
        assert all(getattr(goals, name) is None or size <= getattr(goals, name) for name, size in sizes.items())
        assert 10 ** (-reached.sqnr_db / 10) <= WORST * least, goals
    assert 0 < missed < count or name == "residual"


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    return uneven(chain())


@pytest.fixture(scope="module")
def usual(model) -> bytes:
    return kerasq.convert(model, representative_dataset=X)


def converted(model, goals, **options) -> tuple[Converter, bytes]:
    converter = Converter(model, Options(representative_dataset=X, goals=goals, **options))
    return converter, converter.convert()


def kernels(content: bytes) -> set[int]:
    return {tensor.format.bits for tensor in loads(content).constants() if tensor.name.endswith("/kernel")}


def test_a_network_within_its_limits_stays_as_it_is(model, usual):
    arena = loads(usual).arena_bytes
    assert converted(model, Goals(max_model_bytes=len(usual), max_arena_bytes=arena))[1] == usual
    assert converted(model, Goals(max_model_bytes=len(usual) * 2), weight_bits="auto")[1] != usual


def test_a_limit_that_is_kept_without_factors_makes_no_tensor_narrower(model, usual):
    plain = kerasq.convert(model, representative_dataset=X, fill_ranges=False)
    assert len(plain) < len(usual)
    assert converted(model, Goals(max_model_bytes=len(plain)))[1] == plain


def test_what_is_chosen_comes_back_from_its_settings(model, usual, tmp_path):
    goals = Goals(max_model_bytes=int(0.8 * len(usual)), max_arena_bytes=loads(usual).arena_bytes)
    converter, content = converted(model, goals)
    assert len(content) <= goals.max_model_bytes
    assert 4 in kernels(content)
    (tmp_path / "settings.yaml").write_text(converter.settings_template())
    assert kerasq.convert(model, representative_dataset=X, settings=tmp_path / "settings.yaml") == content
    assert converted(model, goals)[1] == content
    assert set(converter.report.allocation.kernels) == {
        tensor.name for tensor in loads(content).constants() if "/kernel" in tensor.name
    }
    assert json.loads(json.dumps(converter.report.to_dict()))["allocation"]["gap"] >= 0


def test_a_limit_that_nothing_keeps_is_told_with_the_nearest_that_something_does(model, usual):
    least = least_bytes(model)
    assert len(converted(model, Goals(max_model_bytes=least))[1]) <= least
    with pytest.raises(GoalsMissedError, match=f"at least {least:,} bytes"):
        converted(model, Goals(max_model_bytes=least - 1))


def least_bytes(model, **options) -> int:
    """Those of the smallest network that can be, as the message of a missed limit tells them."""
    with pytest.raises(GoalsMissedError, match="the limit is 100") as error:
        converted(model, Goals(max_model_bytes=100), **options)
    return int(str(error.value).split("at least ")[1].split(" ")[0].replace(",", ""))


def test_a_limit_that_factors_exceed_is_kept_without_them(model, usual):
    assert FILLED in loads(usual).metadata
    goals = Goals(max_model_bytes=least_bytes(model, fill_ranges=False))  # a file that says its factors has more
    converter, content = converted(model, goals)
    assert content == converted(model, goals, fill_ranges=False)[1]
    assert converter.report.factors == ""
    with pytest.raises(GoalsMissedError, match="bytes, whatever the widths"):
        converted(model, goals, fill_ranges=True)


@pytest.mark.parametrize("filled", [True, None])
def test_a_ratio_that_wide_activations_alone_do_not_reach_takes_wide_kernels(model, filled):
    ratio = 48.0
    converter, content = converted(model, Goals(min_sqnr_db=ratio), fill_ranges=filled)
    assert converter.report.trade_off[-1].sqnr_db >= ratio
    assert 16 in kernels(content)
    assert len(content) < len(kerasq.convert(model, representative_dataset=X, bits=16, weight_bits=16))
    with pytest.raises(GoalsMissedError, match="is the most that was reached, the goal is 200 dB"):
        converted(model, Goals(min_sqnr_db=200.0), fill_ranges=filled)


def test_kernels_of_a_width_that_is_asked_for_keep_it(model, usual):
    arena = loads(usual).arena_bytes
    converter, content = converted(model, Goals(min_sqnr_db=18.0, max_arena_bytes=2 * arena), weight_bits=4)
    assert kernels(content) == {4, 8}
    assert converter.report.trade_off[-1].sqnr_db >= 18.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weight_bits": "auto"}, "weight_bits auto gives tensors as many bits as limits allow: give goals.max_model_bytes"),
        ({"weight_bits": "automatic"}, "or auto was expected. Received: 'automatic'"),
        ({"goals": Goals(max_model_bytes=0)}, "goals.max_model_bytes: a positive number was expected. Received: 0"),
        ({"goals": Goals(max_instructions=9)}, "goals.max_instructions are those of a board or core: give goals.target"),
        ({"goals": Goals(max_instructions=9, target="cortex-m44")}, "did you mean cortex-m4"),
        ({"pareto": True, "representative_dataset": None}, "pareto compares outputs: give representative_dataset"),
    ],
)
def test_limits_that_make_no_sense(options, words):
    with pytest.raises(OptionsError) as error:
        kerasq.convert("none.keras", **({"representative_dataset": X} | options))
    assert words in str(error.value)


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("budgets")
    model.save(folder / "model.keras")
    np.save(folder / "examples.npy", X)
    return folder


def run(files, *arguments) -> int:
    source, examples = str(files / "model.keras"), str(files / "examples.npy")
    return main(["kerasq-convert", source, "--representative_dataset", examples, "--output", str(files / "model.kq"), *arguments])


def test_the_command_writes_the_trade_off(files, usual):
    limit = 0.8 * len(usual) // 10.24 / 100  # in KiB, of two digits, not more
    arguments = [f"--max_model_bytes={limit}K", "--pareto", str(files / "curve.json")]
    assert run(files, *arguments, "--report", str(files / "report.html")) == 0
    points = json.loads((files / "curve.json").read_text())["points"]
    assert len(points) > 3
    sizes, ratios = [point["model_bytes"] for point in points], [point["sqnr_db"] for point in points]
    content = (files / "model.kq").read_bytes()
    (chosen,) = (point for point in points if point["chosen"])
    assert chosen["model_bytes"] == len(content) <= 1024 * limit
    network = loads(content)
    assert chosen["formats"].items() <= {tensor.name: str(tensor.format) for tensor in network.tensors}.items()
    others = [ratio for point, ratio in zip(points, ratios, strict=True) if not point["chosen"]]
    assert sizes == sorted(sizes)
    assert others == sorted(others)
    page = (files / "report.html").read_text()
    assert page.count('class="chosen"') == 1
    assert "as written: " in page


def test_without_limits_the_trade_off_changes_nothing(model, usual):
    converter, content = converted(model, Goals(), pareto=True)
    assert content == usual
    assert [point.model_bytes for point in converter.report.pareto if point.chosen] == [len(usual)]
    assert min(point.model_bytes for point in converter.report.pareto) < len(usual)


def test_instructions_are_those_of_the_target(files, usual, capsys):
    limit = int(1.2 * fit_on(usual, "cortex-m4").instructions)
    assert run(files, f"--max_instructions={limit}", "--target=cortex-m4", "--weight_bits=auto", "--json") == 0
    assert (files / "model.kq").read_bytes() != usual
    told = json.loads(capsys.readouterr().out)["trade_off"][-1]["instructions"]
    assert told == fit_on((files / "model.kq").read_bytes(), "cortex-m4").instructions <= limit
    assert run(files, "--max_instructions=1K", "--target=cortex-m4") == 1
    assert "instructions, whatever the widths of its tensors; the limit is 1,000" in capsys.readouterr().err
    assert run(files, "--max_instructions=1x") == 2
    assert "a number such as 5000000 or 5M" in capsys.readouterr().err
