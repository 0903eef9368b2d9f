"""Which quantizer the kernel of each layer gets: a recipe by name, or rules.

Rules are a mapping from what they are for to a quantizer. They are for:

    "first", "last"        layers with a kernel before which, or after which, there is no other one
    "block*/depthwise"     names of layers, those in nested models with their path; patterns as in a shell
    keras.layers.Dense     layers of a class

A separable layer has two kernels. What is for the layer is for both; `<layer>/depthwise` and classes of depthwise layers are for
the first one alone. `"first"` is its depthwise kernel, `"last"` its pointwise one.

An exact name goes before `first` and `last`, these before patterns, patterns before classes, and of two patterns or classes the
later one counts. A quantizer is one of `kerasq.quantizers`, its name, the name of a recipe (`"fixed8"`: eight bits, the
position chosen for the kernel), or `None`: the kernel stays as it is.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasq import quantizers
from kerasq.layers import twins
from kerasq.layers.kernel_part import KernelPart
from kerasq.qformat import fixed
from kerasq.quantizers import FixedPoint, LearnedFixedPoint, LearnedScaledFixedPoint, Quantizer
from kerasq_convert.errors import ConversionError
from kerasq_convert.formats import ranges
from kerasq_convert.settings.settings import nearest

DEPTHWISE = "/depthwise"  # behind the name of a separable layer: its depthwise kernel
Rules = Mapping[Any, Any]
Fitted = Callable[[np.ndarray, ranges.Criterion], Quantizer]


def _fixed(bits: int) -> Fitted:
    """Fixed point whose position is the one that the converter would choose for the kernel."""

    def fitted(kernel: np.ndarray, criterion: ranges.Criterion) -> Quantizer:
        format_ = ranges.best_for_values(fixed(bits), kernel, criterion)
        return FixedPoint(bits, format_.frac_bits or 0)

    return fitted


def _always(name: str) -> Fitted:
    def made(kernel: np.ndarray, criterion: ranges.Criterion) -> Quantizer:
        return _required(name)

    return made


FIXED8 = "fixed8"
FITTED: dict[str, Fitted] = {
    FIXED8: _fixed(8),
    "fixed4": lambda kernel, criterion: LearnedScaledFixedPoint(4),
    "ternary": _always("Ternary"),
    "binary_weight": _always("BinaryWeight"),
    "binary_connect": _always("BinaryConnect"),
}

_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_FEW = {"first": "fixed8", "last": "fixed8"} | dict.fromkeys(_DEPTHWISE, "fixed8")

RECIPES: dict[str, Rules] = {"fixed8": {"*": "fixed8"}} | {
    name: {keras.layers.Layer: name} | _FEW for name in FITTED if name != "fixed8"
}
"""By name. Few weights lie in the first and the last layer and in depthwise kernels, and most of what is lost is lost there: they
have 8 bits. `recipe={"*": "ternary"}` leaves no exception."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """A kernel and its layer, as rules see them.

    Attributes:
        name: The layer's path; of the depthwise kernel of a separable layer that with `/depthwise`.
        layer: The layer.
        part: Which of its kernels; `None` where the layer has no quantized form.
        is_first, is_last: Whether no other one comes before it, or after it.
        owner: The layer's path.
        classes: Those whose rules are for it.
    """

    name: str
    layer: Any
    part: KernelPart | None
    is_first: bool
    is_last: bool
    owner: str
    classes: tuple[type, ...]


def kernels_of(name: str, layer: Any, *, is_first: bool, is_last: bool) -> Iterator[Layer]:
    """The kernels of a layer. Each half of a separable layer is also one of the class that it would be alone."""
    if twins.kind_of(layer) is None:
        yield Layer(name, layer, None, is_first, is_last, name, (type(layer),))
        return
    parts = twins.parts_of(layer)
    for part in parts[:-1]:
        yield Layer(f"{name}{DEPTHWISE}", layer, part, is_first, False, name, (type(layer), *_DEPTHWISE))
    yield Layer(name, layer, parts[-1], is_first and len(parts) == 1, is_last, name, (type(layer),))


def rules_of(recipe: str | Rules) -> Rules:
    """The rules of a recipe.

    Raises:
        ConversionError: There is no such recipe.
    """
    if isinstance(recipe, Mapping):
        return recipe
    if recipe not in RECIPES:
        expected = f"one of {', '.join(map(repr, RECIPES))}, or rules, was expected"
        raise ConversionError("recipe", [f"{expected}. Received: {recipe!r}{nearest(recipe, RECIPES)}"])
    return RECIPES[recipe]


def choose(recipe: str | Rules, layers: Sequence[Layer]) -> dict[str, Any]:
    """What the rules say of each layer, by its path: a quantizer, the name of one, or `None`. "fixed8" where they say nothing.

    Raises:
        ConversionError: A rule is for no layer, or gives what is no quantizer; all are listed.
    """
    rules = rules_of(recipe)
    problems = [] if isinstance(recipe, str) else list(_problems(rules, layers))
    if problems:
        raise ConversionError("recipe", problems)
    return {layer.name: _choice(rules, layer) for layer in layers}


def _choice(rules: Rules, layer: Layer) -> Any:
    best, chosen = -1, "fixed8"
    for key, quantizer in rules.items():
        rank = _rank(key, layer)
        if rank is not None and rank >= best:
            best, chosen = rank, quantizer
    return chosen


def _rank(key: Any, layer: Layer) -> int | None:
    """How much a rule's key says of a layer; `None` where it isn't for it."""
    if inspect.isclass(key):
        return 0 if any(issubclass(kind, key) for kind in layer.classes) else None
    if key == layer.name:
        return 4
    if key == layer.owner:
        return 3
    if (key == "first" and layer.is_first) or (key == "last" and layer.is_last):
        return 2
    if key in ("first", "last"):
        return None
    return 1 if fnmatch.fnmatchcase(layer.name, key) or fnmatch.fnmatchcase(layer.owner, key) else None


def _problems(rules: Rules, layers: Sequence[Layer]) -> Iterator[str]:
    names = [layer.name for layer in layers]
    for key, quantizer in rules.items():
        if not isinstance(key, str) and not inspect.isclass(key):
            yield f'{key!r} is no rule: a name, a pattern, "first", "last" or a class of layers was expected'
        elif key not in ("first", "last", "*") and all(_rank(key, layer) is None for layer in layers):
            what = f"class {key.__name__}" if inspect.isclass(key) else repr(key)
            yield f"there is no layer with a kernel for {what}{nearest(str(key), [*names, 'first', 'last'])}"
        if isinstance(quantizer, str) and quantizer in FITTED:
            continue
        try:
            quantizers.get(quantizer, f"recipe[{key!r}]")
        except ValueError as error:
            yield str(error)


def quantizer_for(choice: Any, kernel: np.ndarray, criterion: ranges.Criterion) -> Quantizer:
    """The quantizer that a rule means for a kernel; not for `None`."""
    if isinstance(choice, str) and choice in FITTED:
        return FITTED[choice](kernel, criterion)
    return _required(choice)


def is_open(choice: Any) -> bool:
    """Whether a rule leaves a position to be found, that of "fixed8" or where a learned one begins."""
    if isinstance(choice, str) and choice in FITTED:
        return choice == FIXED8
    quantizer = _required(choice)
    return type(quantizer) is LearnedFixedPoint and quantizer.frac_bits is None


def _required(choice: Any) -> Quantizer:
    quantizer = quantizers.get(choice)
    assert quantizer is not None
    return quantizer
