"""Layers and tensors by the scopes of a TensorFlow graph: the one rule for what a training observes and what is converted.

An operation is called `StatefulPartitionedCall/resnet23_1/conv2_1/convolution`: calls of functions, the model's name, the
layer's path, the operation. Keras 3 opens the scope of a layer twice and computes in the second, to whose name TensorFlow
appends a number (`_1`, or the next that is free); Keras 2 opens it once. Which one it was is seen where a weight names its
layer, since weights are called `conv2/kernel` in both.

A tensor's place is its layer's path and the operation within the layer that computes it: `block1/conv/BiasAdd`, `Relu_1` outside
of any layer. It is the same in every trace of a model, of the training's own process and of a SavedModel, and in all calls of
a shared layer.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable

_CALL = re.compile(r"(Stateful)?PartitionedCall(_\d+)?")
_INNER_SCOPE = re.compile(
    r"batchnorm|separable_conv2d|(Tensordot|moments|Gelu|clip_by_value|l2_normalize|Repeat|einsum|stateless_\w+?)(_\d+)?"
)
_WEIGHT = re.compile(r"(.+)/(kernel|depthwise_kernel|gamma|beta|moving_mean|moving_variance|bias)(_\d+)?")
_NUMBER = re.compile(r"_\d+$")


class LayerNames:
    """Finds the layer of an operation by its name.

    Attributes:
        common: The scope around all others, the model's; `None` where there is none.

    Args:
        operations: Names of all operations that depend on an input.
        weights: Pairs of an operation's name and the name of a constant that it reads.
        numbered: Whether scopes of layers end in a number, where that is known.
    """

    def __init__(self, operations: Iterable[str], weights: Iterable[tuple[str, str]] = (), numbered: bool | None = None):
        scopes = [scope for name in operations if (scope := _scope(name))]
        roots = {scope[0] for scope in scopes}
        # Operations right in the root's scope are the model's own: keras.ops in a Functional model, calls of a subclassed one.
        self._root = roots.pop() if len(roots) == 1 and any(len(scope) > 1 for scope in scopes) else None
        self.common = None if self._root is None else _NUMBER.sub("", self._root)
        if numbered is None:
            numbered = self._are_numbered(weights)
        if numbered is None:
            outermost = {scope[0] for name in scopes if (scope := self._without_root(name))}
            numbered = all(_NUMBER.search(name) for name in outermost if not _INNER_SCOPE.fullmatch(name))
        self._numbered = numbered

    def _are_numbered(self, weights: Iterable[tuple[str, str]]) -> bool | None:
        votes: Counter[bool] = Counter()
        for operation, constant in weights:
            match = _WEIGHT.fullmatch(constant)
            scope = self._without_root(_scope(operation))
            # A constant inside of a call is no weight: the `beta` of a swish.
            if match and scope and not any(map(_CALL.fullmatch, constant.split("/"))):
                named = match[1].split("/")[-1]
                if scope[-1] == named or _NUMBER.sub("", scope[-1]) == named:
                    votes[scope[-1] != named] += 1
        return votes.most_common(1)[0][0] if votes else None

    def _without_root(self, scope: list[str]) -> list[str]:
        return scope[1:] if scope and scope[0] == self._root else scope

    def layer(self, operation: str) -> str:
        """The path of the layer that an operation belongs to, `block1/conv`; the operation's own name outside of any."""
        scope = self._without_root(_scope(operation))
        return "/".join(self._path(scope)) if scope else operation.split("/")[-1]

    def place(self, operation: str, index: int = 0) -> str:
        """The place of a result of an operation: the layer's path and the operation within it, `block1/conv/BiasAdd`."""
        scope = self._without_root(_scope(operation, inner=True))
        layers = self._path(scope) if scope else []
        return "/".join([*layers, *scope[len(layers) :], operation.split("/")[-1]]) + (f":{index}" if index else "")

    def _path(self, scope: list[str]) -> list[str]:
        """The names of the layers in a scope, outermost first."""
        if not self._numbered:
            return scope
        # Scopes without a number are not of layers, but of what a layer does inside.
        layers = list(itertools.takewhile(lambda part: _NUMBER.search(part) and not _INNER_SCOPE.fullmatch(part), scope)) or scope
        return [_NUMBER.sub("", part) for part in layers]


def _scope(operation: str, inner: bool = False) -> list[str]:
    """The scopes that an operation lies in, those of functions' calls left out; with those inside of a layer, or without."""
    if operation.startswith("Func/"):  # left by the inlining of a call
        return []
    parts = [part for part in operation.split("/")[:-1] if not _CALL.fullmatch(part)]
    while parts and not inner and _INNER_SCOPE.fullmatch(parts[-1]):
        parts.pop()
    return parts
