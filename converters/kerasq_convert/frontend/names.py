"""Layer names from the scopes of a graph, the same whichever way a model came in.

An operation is called `StatefulPartitionedCall/resnet23_1/conv2_1/convolution`: calls of functions, the model's name, the
layer's path, the operation. Keras 3 opens the scope of a layer twice and computes in the second, to whose name TensorFlow
appends a number (`_1`, or the next that is free); Keras 2 opens it once. Which one it was is seen where a weight names its
layer, since weights are called `conv2/kernel` in both.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable

_CALL = re.compile(r"(Stateful)?PartitionedCall(_\d+)?")
_INNER_SCOPE = re.compile(r"batchnorm|Tensordot|moments|(Repeat|einsum|stateless_\w+?)(_\d+)?")
_WEIGHT = re.compile(r"(.+)/(kernel|depthwise_kernel|gamma|beta|moving_mean|moving_variance|bias)(_\d+)?")
_NUMBER = re.compile(r"_\d+$")


class LayerNames:
    """Finds the layer of an operation by its name.

    Attributes:
        common: The scope around all others, the model's; `None` where there is none.

    Args:
        operations: Names of all operations that depend on an input.
        weights: Pairs of an operation's name and the name of a constant that it reads.
    """

    def __init__(self, operations: Iterable[str], weights: Iterable[tuple[str, str]]):
        scopes = [scope for name in operations if (scope := _scope(name))]
        roots = {scope[0] for scope in scopes}
        self._root = roots.pop() if len(roots) == 1 and all(len(scope) > 1 for scope in scopes) else None
        firsts = {scope[0] for scope in scopes}
        self.common = _NUMBER.sub("", firsts.pop()) if len(firsts) == 1 and any(len(scope) > 1 for scope in scopes) else None
        numbered = self._are_numbered(weights)
        self._numbered = numbered if numbered is not None else all(map(_NUMBER.search, map(self._outermost, scopes)))

    def _are_numbered(self, weights: Iterable[tuple[str, str]]) -> bool | None:
        votes: Counter[bool] = Counter()
        for operation, constant in weights:
            match = _WEIGHT.fullmatch(constant)
            scope = self._below_root(operation)
            if match and scope:
                named = match[1].split("/")[-1]
                if scope[-1] == named or _NUMBER.sub("", scope[-1]) == named:
                    votes[scope[-1] != named] += 1
        return votes.most_common(1)[0][0] if votes else None

    def _below_root(self, operation: str) -> list[str]:
        scope = _scope(operation)
        return scope[1:] if scope and scope[0] == self._root else scope

    def _outermost(self, scope: list[str]) -> str:
        return scope[1] if scope[0] == self._root else scope[0]

    def layer(self, operation: str) -> str:
        """The path of the layer that an operation belongs to, `block1/conv`; the operation's own name outside of any."""
        scope = self._below_root(operation)
        if not scope:
            return operation.split("/")[-1]
        if not self._numbered:
            return "/".join(scope)
        # Scopes without a number are not of layers, but of what a layer does inside.
        layers = list(itertools.takewhile(_NUMBER.search, scope)) or scope
        return "/".join(_NUMBER.sub("", part) for part in layers)


def _scope(operation: str) -> list[str]:
    if operation.startswith("Func/"):  # left by the inlining of a call
        return []
    parts = [part for part in operation.split("/")[:-1] if not _CALL.fullmatch(part)]
    while parts and _INNER_SCOPE.fullmatch(parts[-1]):
        parts.pop()
    return parts
