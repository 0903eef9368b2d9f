"""Signatures of layers that take every argument of a Keras layer and those of a family of quantized layers.

Repeating Keras' arguments in each layer would freeze those of one Keras version. The layers take `*args, **kwargs` and pass
them on; this decorator publishes the merged signature, so that `help()`, `inspect.signature` and Keras itself see all names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Init = TypeVar("Init", bound=Callable[..., None])


def with_arguments_of(layer: type, family: type) -> Callable[[Init], Init]:
    """Decorator of an `__init__(self, *args, **kwargs)`: its signature becomes that of `layer` plus that of `family`.

    Args:
        layer: The Keras layer whose arguments are accepted, positional order included.
        family: The mixin whose `__init__` takes further keyword-only arguments; they come last, before `**kwargs`.
    """
    theirs = inspect.signature(layer.__init__).parameters.values()  # type: ignore[misc]
    ours = inspect.signature(family.__init__, eval_str=True).parameters.values()  # type: ignore[misc]
    rest = [p for p in theirs if p.kind is inspect.Parameter.VAR_KEYWORD]
    own = [p for p in ours if p.kind is inspect.Parameter.KEYWORD_ONLY]
    signature = inspect.Signature([*(p for p in theirs if p not in rest), *own, *rest])

    def publish(init: Init) -> Init:
        function: Any = init
        function.__signature__ = signature
        return init

    return publish
